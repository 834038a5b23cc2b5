// The theme opens its menus by clicks on elements that a keyboard does not reach and that have no
// name but that of their icon. Here they become buttons, in all pages of the console at once.

const LABELS = {
  en: {
    dock_to_right: "Show or hide the menu",
    close: "Close the menu",
    search: "Search",
    face_retouching_natural: "Overview",
  },
  zh: {
    dock_to_right: "显示或隐藏菜单",
    close: "关闭菜单",
    search: "搜索",
    face_retouching_natural: "概览",
  },
};
const CLICKED = "[x-on\\:click]:not(button, input, select, textarea, label, summary, a[href])";
const ICON = ".material-symbols-outlined";

function toButton(element, labels) {
  if (!element.hasAttribute("tabindex")) element.tabIndex = 0;
  if (!element.hasAttribute("role")) element.setAttribute("role", "button");
  const label = labels[element.textContent.trim()];
  if (label) element.setAttribute("aria-label", label);
  element.addEventListener("keydown", (event) => {
    if (event.target !== element || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    element.click();
  });
}

document.addEventListener("DOMContentLoaded", () => {
  const labels = document.documentElement.lang.startsWith("zh") ? LABELS.zh : LABELS.en;
  for (const element of document.querySelectorAll(CLICKED)) toButton(element, labels);
  // Links and buttons that are nothing but an icon, large enough for a finger.
  for (const control of document.querySelectorAll("a[href], button")) {
    const icon = control.querySelector(ICON);
    const label = icon && labels[icon.textContent.trim()];
    if (!label || control.textContent.trim() !== icon.textContent.trim()) continue;
    if (!control.hasAttribute("aria-label")) control.setAttribute("aria-label", label);
    control.style.minWidth = control.style.minHeight = "24px";
  }
  // The name of an icon is no text for people.
  for (const icon of document.querySelectorAll(ICON)) {
    if (!icon.matches(CLICKED)) icon.setAttribute("aria-hidden", "true");
  }
});
