// Recharges in the console: dropping a file, and following work without loading the page again.
// Everything here also works without it: by the file button, and by loading the page again.
const POLL_MS = 1500;

function connectDropZone(zone) {
  const input = zone.querySelector("input[type=file]");
  const name = zone.querySelector("[data-file-name]");
  const show = () => {
    name.textContent = input.files.length ? input.files[0].name : "";
  };
  // On the way down: the theme listens at the field and expects the frame of its own kind there.
  const onChange = (event) => {
    if (event.target !== input) return;
    event.stopPropagation();
    show();
  };
  zone.addEventListener("change", onChange, true);
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("is-over");
    });
  }
  for (const kind of ["dragleave", "drop"]) {
    zone.addEventListener(kind, () => zone.classList.remove("is-over"));
  }
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      show();
    }
  });
}

// A screen reader hears tens of percents and changes of state, not every look.
function announce(live, percent, text) {
  const step = `${text} ${Math.floor(percent / 10) * 10} %`;
  if (live && live.textContent !== step) live.textContent = step;
}

async function follow(area) {
  const live = document.querySelector("[data-live]");
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    if (document.hidden) continue;
    let state;
    try {
      const response = await fetch(area.dataset.follow, { headers: { Accept: "application/json" } });
      if (response.redirected || !response.ok) throw new Error(String(response.status));
      state = await response.json();
    } catch {
      continue;
    }
    if (state.is_done || state.status !== (area.dataset.status || state.status)) {
      location.reload();
      return;
    }
    const bar = area.querySelector("progress");
    if (bar && "percent" in state) bar.value = state.percent;
    const words = area.querySelector("[data-words]");
    if (words && state.words) words.textContent = state.words;
    announce(live, state.percent || 0, state.text);
  }
}

document.querySelectorAll("[data-drop]").forEach(connectDropZone);
document.querySelectorAll("[data-follow]").forEach(follow);
