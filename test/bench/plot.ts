import * as echarts from "echarts";

export interface Line {
  name: string;
  /** Pairs of x and y. */
  points: readonly (readonly [number, number])[];
  isLimit?: boolean;
}

export interface Plot {
  title: string;
  x: string;
  y: string;
  lines: readonly Line[];
}

/** Draws lines over one another, as the text of an SVG. */
export function drawPlot({ title, x, y, lines }: Plot): string {
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: 720, height: 400 });
  const axis = { type: "value", nameLocation: "middle", nameTextStyle: { fontSize: 14 } } as const;
  chart.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    title: { text: title, left: "center", textStyle: { fontSize: 16 } },
    legend: { bottom: 0, itemGap: 40, textStyle: { fontSize: 14 } },
    grid: { left: 64, right: 32, top: 48, bottom: 88 },
    xAxis: { ...axis, name: x, nameGap: 30 },
    yAxis: { ...axis, name: y, nameGap: 40, min: 0 },
    series: lines.map(({ name, points, isLimit = false }) => ({
      type: "line" as const,
      name,
      data: points.map((point) => [...point]),
      showSymbol: !isLimit,
      symbol: "circle",
      symbolSize: 8,
      lineStyle: { width: isLimit ? 1 : 3, type: isLimit ? ("dashed" as const) : ("solid" as const) },
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
