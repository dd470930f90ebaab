/** The links that the benchmarks over distance go through. Round trips in milliseconds. */
export const ROUND_TRIPS = [0, 10, 20, 50, 100];
/** 100 Mbit/s, in bytes a second. */
export const RATE = 12_500_000;
