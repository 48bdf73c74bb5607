// The dashboard: theme, session, and the shell around the page that the address names.
import "./style/desk.css";
import { render } from "preact";
import { Desk } from "./desk.tsx";
import { startTheme } from "./theme.ts";

startTheme();
render(<Desk />, document.getElementById("desk")!);
