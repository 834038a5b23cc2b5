// Runs before the first paint, so a stored choice of appearance does not flash.
"use strict";

(function () {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try {
      return localStorage.getItem("appearance");
    } catch {
      // Storage may be blocked; the system's appearance is used then.
      return null;
    }
  }

  function store(value) {
    try {
      localStorage.setItem("appearance", value);
    } catch {
      // The choice holds for this page only.
    }
  }

  function isDark() {
    const choice = root.dataset.theme;
    return choice ? choice === "dark" : system.matches;
  }

  const choice = stored();
  if (choice === "dark" || choice === "light") {
    root.dataset.theme = choice;
  }

  document.addEventListener("DOMContentLoaded", function () {
    const button = document.querySelector("[data-theme-toggle]");
    function label() {
      const text = isDark() ? button.dataset.labelLight : button.dataset.labelDark;
      button.setAttribute("aria-label", text);
      button.title = text;
      button.classList.toggle("theme-button--dark", isDark());
    }
    button.hidden = false;
    button.addEventListener("click", function () {
      root.dataset.theme = isDark() ? "light" : "dark";
      store(root.dataset.theme);
      label();
    });
    system.addEventListener("change", label);
    label();
  });
})();
