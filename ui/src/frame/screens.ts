// The eight screens in the order of their keys.
import type { Screen } from "../host/host";

export const SCREENS: { screen: Screen; name: string }[] = [
  { screen: "overview", name: "Overview" },
  { screen: "pending", name: "Pending" },
  { screen: "conflicts", name: "Conflicts" },
  { screen: "runs", name: "Runs" },
  { screen: "compare", name: "Compare" },
  { screen: "history", name: "Row history" },
  { screen: "settings", name: "Settings" },
  { screen: "setup", name: "Set-up" },
];
