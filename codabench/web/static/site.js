// What every page has besides what works without scripts. Each part finds its own elements.

import { uploads } from "./upload.js";

function times() {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.valueOf())) continue;
    time.title = time.textContent;
    time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}

function menus() {
  const open = () => document.querySelectorAll("details.menu[open]");
  document.addEventListener("click", (event) => {
    for (const menu of open()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
}

function theme() {
  const form = document.querySelector("[data-theme-switch]");
  if (!form) return;
  form.querySelector("button").hidden = true;
  form.elements.theme.addEventListener("change", () => {
    document.documentElement.dataset.theme = form.elements.theme.value;
    fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)), redirect: "manual" });
  });
}

function copying() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const field = document.getElementById(button.dataset.copy);
      field.select();
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    });
  }
}

function ticking() {
  for (const all of document.querySelectorAll("input[data-tick-all]")) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const each of document.querySelectorAll(`input[name="${all.dataset.tickAll}"]`)) each.checked = all.checked;
    });
  }
}

times();
menus();
theme();
copying();
ticking();
uploads();
document.querySelector("[data-focus]")?.focus();
