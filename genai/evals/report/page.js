"use strict";
// Filters of the changed cases. Without scripts every case is shown.
const cases = [...document.querySelectorAll("article")];
const choices = [...document.querySelectorAll("select")];
const count = document.getElementById("count");

function apply() {
  let shown = 0;
  for (const each of cases) {
    each.hidden = !choices.every(
      (choice) => !choice.value || JSON.parse(each.dataset[choice.name]).includes(choice.value),
    );
    shown += each.hidden ? 0 : 1;
  }
  count.textContent = `${shown} of ${cases.length} shown`;
}

if (cases.length) {
  for (const choice of choices) choice.addEventListener("change", apply);
  document.getElementById("filters").hidden = false;
  apply();
}
