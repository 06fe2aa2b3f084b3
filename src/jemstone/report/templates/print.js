"use strict";
// On paper nothing can be opened, so everything is.
addEventListener("beforeprint", () => document.querySelectorAll("details:not([open])").forEach(part => {
  part.open = true;
  addEventListener("afterprint", () => { part.open = false; }, { once: true });
}));
