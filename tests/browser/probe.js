// Runs in a copy of the page: works its controls, measures contrast, looks for names, and writes down what it found.
addEventListener('load', () => setTimeout(() => {
  const told = { errors: window.wrong, requests: performance.getEntriesByType('resource').length, dark: matchMedia('(prefers-color-scheme: dark)').matches };
  const all = [...document.querySelectorAll('.finding')];
  const shown = () => all.filter((one) => !one.hidden && one.offsetParent !== null).length;
  const few = all.length < 500;
  told.total = all.length;
  told.wide = document.documentElement.scrollWidth > document.documentElement.clientWidth;
  const timing = performance.getEntriesByType('navigation')[0];
  told.loaded = Math.round(timing ? timing.loadEventStart : -1);
  if (all.length) {
    const text = document.getElementById('f-text');
    const seek = (word) => { text.value = word; text.dispatchEvent(new Event('input')); return all.filter((one) => !one.hidden).length; };
    told.none = seek('no finding says this');
    told.all = seek('');
    const order = document.getElementById('f-order');
    order.value = 'count';
    order.dispatchEvent(new Event('change'));
    const counts = [...document.getElementById('list').children].map((one) => +one.dataset.count);
    told.sorted = counts.every((n, at) => at === 0 || counts[at - 1] >= n);
  }
  if (few) all.forEach((one) => { one.open = true; one.style.contentVisibility = 'visible'; });
  // Every control, picture and region has a name.
  const name = (one) => (one.getAttribute('aria-label') || one.textContent || (one.labels && [...one.labels].map((l) => l.textContent).join(' ')) || '').trim()
    || (one.labels ? [...one.labels].map((l) => l.textContent).join('').trim() : '');
  told.nameless = [...document.querySelectorAll('a, button, input, select, summary, svg[role=img], [role=group], nav')].filter((one) => !name(one)).map((one) => one.outerHTML.slice(0, 120));
  if (!document.documentElement.lang || !document.title || document.querySelectorAll('h1').length !== 1) told.nameless.push('language, title or heading');
  // Contrast of text with what lies behind it.
  const parse = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map((c) => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; }); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
  const behind = (one) => { for (let at = one; at; at = at.parentElement) { const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor); if (a > 0) return [r, g, b]; } return told.dark ? [18, 18, 18] : [255, 255, 255]; };
  const faint = new Map();
  const some = few ? document.querySelectorAll('body *') : [];
  for (const one of some) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    if (one.closest('script, style, title, option')) continue;
    const style = getComputedStyle(one);
    const ink = parse(one.closest('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(one))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.set(`${one.tagName} ${one.className.baseVal ?? one.className} ${style.color} ${ratio.toFixed(2)}`, 1);
  }
  told.faint = [...faint.keys()].slice(0, 10);
  const pre = document.createElement('pre');
  pre.id = 'probe';
  pre.textContent = JSON.stringify(told);
  document.body.append(pre);
}, 50));
