import { NBDServer } from "../src/NBDServer.ts";

/** The classic script: defines `NBDServer` for a plain `<script src>`. */
export default NBDServer;
