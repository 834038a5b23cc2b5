// Shows how far a worker is with an export, and loads the page again once it has ended.
const POLL_MS = 1000;
const OPEN = ["QUEUED", "RUNNING"];
const box = document.getElementById("export");

async function look() {
  const answer = await fetch(box.dataset.url, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const state = await answer.json();
  if (!OPEN.includes(state.status)) {
    location.reload();
    return;
  }
  const text = document.getElementById("export-text");
  // A live region speaks at every write, so only when there is news.
  if (text.textContent !== state.text) text.textContent = state.text;
  document.getElementById("export-bar").value = state.percent;
  setTimeout(look, POLL_MS);
}

if (box && OPEN.includes(box.dataset.status)) setTimeout(look, POLL_MS);
