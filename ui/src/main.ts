import { mount } from "svelte";
import App from "./App.svelte";
import "./base.css";
import { realHost } from "./host/real";

mount(App, { target: document.body, props: { host: realHost() } });
