"use strict";
// The page says everything without this: it opens what a link points to, opens all for paper, and filters answers.
const every = [...document.querySelectorAll("main > section > details")];
const reveal = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const around = target && target.closest("details");
  if (around && !around.open) { around.open = true; target.scrollIntoView(); }
};
addEventListener("hashchange", reveal);
reveal();
addEventListener("beforeprint", () => every.forEach((section) => {
  section.dataset.was = section.open ? "open" : "";
  section.open = true;
}));
addEventListener("afterprint", () => every.forEach((section) => { section.open = Boolean(section.dataset.was); }));

const form = document.querySelector("form.filter");
if (form) {
  const answers = [...document.querySelectorAll("#answers article")];
  const filter = () => {
    const words = form.words.value.trim().toLowerCase();
    let shown = 0;
    for (const answer of answers) {
      answer.hidden = !((!form.verdict.value || answer.dataset.verdict === form.verdict.value)
        && (!form.set.value || answer.dataset.set === form.set.value)
        && answer.textContent.toLowerCase().includes(words));
      shown += !answer.hidden;
    }
    for (const group of document.querySelectorAll("#answers .group")) {
      group.hidden = !group.querySelector("article:not([hidden])");
    }
    form.querySelector("output").textContent = `${shown} of ${answers.length} answers`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
}
