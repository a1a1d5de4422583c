// The page says everything without this: it opens what a link points to, opens all for paper, filters answers, and draws
// the figures anew when they come into view, so that they tell their values.
const specs = JSON.parse(document.getElementById("specs").textContent);
const draw = async (figure) => {
  const spec = specs[figure.dataset.name];
  spec.config.font = getComputedStyle(figure).fontFamily;
  if (spec.width) spec.width = figure.clientWidth;
  const box = document.createElement("div");
  // Names and texts are data: an interpreter runs the expressions, which come from us, and the page allows no other code.
  await vegaEmbed(box, spec, { actions: false, ast: true, logLevel: 1, renderer: "svg" });
  figure.replaceChildren(box);
};
const watch = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (isIntersecting) { watch.unobserve(target); draw(target).catch(console.error); }
  }
});
document.querySelectorAll("figure[data-name]").forEach((figure) => watch.observe(figure));

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
