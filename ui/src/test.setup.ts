import "@testing-library/jest-dom/vitest";
import { configure } from "@testing-library/svelte";

configure({ asyncUtilTimeout: 10_000 });

// jsdom has no modal dialogs: what the page needs of them.
HTMLDialogElement.prototype.showModal = function () {
  this.open = true;
};
HTMLDialogElement.prototype.close = function () {
  this.open = false;
  this.dispatchEvent(new Event("close"));
};

// jsdom lays nothing out: what a list asks to know which of its rows are in view.
Object.defineProperty(HTMLElement.prototype, "offsetHeight", { value: 600 });
Object.defineProperty(HTMLElement.prototype, "offsetWidth", { value: 800 });
Object.defineProperty(Element.prototype, "clientHeight", { value: 600 });
globalThis.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
};
Element.prototype.scrollTo ??= () => {};
