import "@testing-library/jest-dom/vitest";

// jsdom has no modal dialogs: what the page needs of them.
HTMLDialogElement.prototype.showModal = function () {
  this.open = true;
};
HTMLDialogElement.prototype.close = function () {
  this.open = false;
  this.dispatchEvent(new Event("close"));
};
