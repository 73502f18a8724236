'use strict';
(() => {
  const form = document.getElementById('filter');
  if (!form) return;
  const list = document.getElementById('list');
  const text = document.getElementById('f-text');
  const verdict = document.getElementById('f-verdict');
  const order = document.getElementById('f-order');
  const shown = document.getElementById('f-shown');
  const all = [...list.children];
  const words = new Map(all.map((one) => [one, one.textContent.toLowerCase()]));
  for (const word of new Set(all.map((one) => one.dataset.verdict))) verdict.add(new Option(word, word));
  const by = {
    number: (a, b) => a.dataset.number - b.dataset.number,
    count: (a, b) => b.dataset.count - a.dataset.count || by.number(a, b),
    first: (a, b) => a.dataset.first.localeCompare(b.dataset.first) || by.number(a, b),
    route: (a, b) => a.dataset.route.localeCompare(b.dataset.route) || by.number(a, b),
  };
  const filter = () => {
    const sought = text.value.trim().toLowerCase();
    let n = 0;
    for (const one of all) {
      one.hidden = (verdict.value && one.dataset.verdict !== verdict.value) || !words.get(one).includes(sought);
      n += !one.hidden;
    }
    shown.value = `${n} of ${all.length} shown`;
  };
  const sort = () => list.append(...all.sort(by[order.value]));
  text.addEventListener('input', filter);
  verdict.addEventListener('change', filter);
  order.addEventListener('change', sort);
  form.hidden = false;
  filter();
})();
