// The page says everything without this: it opens what a link points to, opens all for paper, filters answers, and draws
// the figures anew when they come into view, so that they tell their values.
const data = JSON.parse(document.getElementById("data").textContent);
const show = async (spec, place) => {
  if (spec.width) spec.width = place.clientWidth;
  const box = document.createElement("div");
  box.ariaHidden = "true"; // the figure around it has a text; its marks have roles without any
  // Names and texts are data: an interpreter runs the expressions, which come from us, and the page allows no other code.
  const { view } = await vegaEmbed(box, spec, { actions: false, ast: true, logLevel: 1, renderer: "svg" });
  place.replaceChildren(box);
  return view;
};
const draw = async (figure) => {
  const view = await show(data.figures[figure.dataset.name], figure);
  if (figure.dataset.name === "neurons") view.addEventListener("click", (_, item) => item?.datum?.rank && openPanel(item.datum.rank - 1));
};
const watch = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) {
    if (isIntersecting) { watch.unobserve(target); draw(target).catch(console.error); }
  }
});
document.querySelectorAll("figure[data-name]").forEach((figure) => watch.observe(figure));

// The panel of a neuron: what it did at right and wrong answers. Its number in the table opens it, or its point on the map.
const panel = document.querySelector(".panel");
const put = (tag, text, into) => into.appendChild(Object.assign(document.createElement(tag), { textContent: text }));
const openPanel = (place) => {
  const answers = data.answers.filter((answer) => place < answer.cett.length).map(({ question, said, verdict, cett }, n) => (
    { question, said, verdict, cett: cett[place], kind: verdict === "wrong" ? verdict : "right", offset: n * 0.618034 % 1 - 0.5 }));
  if (!answers.length) return;
  const [name, about] = data.neurons[place];
  panel.replaceChildren();
  panel.hidden = false;
  put("h3", name, panel).tabIndex = -1;
  put("p", about, panel);
  const figure = put("figure", "", panel);
  figure.setAttribute("role", "img");
  figure.ariaLabel = `CETT of ${name} at wrong and at right answers`;
  show({ ...structuredClone(data.one), data: { values: answers } }, figure);
  put("p", `Its highest CETT at ${answers.length} answers of the fit part:`, panel);
  const list = put("ol", "", panel);
  for (const { question, said, verdict, cett } of [...answers].sort((a, b) => b.cett - a.cett).slice(0, 8)) {
    put("li", `${cett} (${verdict}) ${question} \u2192 ${said}`, list);
  }
  panel.firstChild.focus();
};
if (data.answers.length) {
  document.querySelectorAll("[aria-label='Table neurons'] tbody tr").forEach(({ cells: [cell] }, place) => {
    if (place >= data.answers[0].cett.length) return;
    const button = put("button", cell.textContent, cell);
    button.ariaLabel = `Open ${data.neurons[place][0]}`;
    button.addEventListener("click", () => openPanel(place));
    cell.replaceChildren(button);
  });
}

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
