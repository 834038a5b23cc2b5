// Tells the server where the person's days begin, with the claim of the day's tokens.
const field = document.querySelector("[data-time-zone]");
if (field) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}
