// Blurred pictures of the console: a press on the button shows the picture in its place.
// Without this script the form leads to the picture itself; either way the server keeps on record who looked.

for (const form of document.querySelectorAll("form[data-reveal]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const image = form.querySelector("img");
    const button = form.querySelector("button");
    button.disabled = true;
    const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
    if (!answer.ok) {
      // Signed out, or the picture is gone: the server's own page says which.
      form.submit();
      return;
    }
    image.src = URL.createObjectURL(await answer.blob());
    image.alt = image.dataset.clearAlt;
    button.remove();
    image.tabIndex = -1;
    image.focus();
  });
}
