// The pages are whole without this script. It keeps marked regions up to date, and adds shortcuts.
"use strict";
(() => {
  const stream = document.documentElement.dataset.live;
  const pulse = document.getElementById("pulse");
  const status = document.getElementById("status");

  // ---- Changing a region into what the server says now, node by node, so that focus, scroll, selection and open
  // ---- folds stay as they are.

  const keyOf = (node) => (node.nodeType === 1 ? node.id || node.dataset.key || "" : "");
  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  // What belongs to the person who looks at the page: what is typed, ticked or unfolded.
  const ofTheReader = (element, name) =>
    (name === "open" && element.nodeName === "DETAILS") ||
    ((name === "value" || name === "checked") && /^(INPUT|OPTION|TEXTAREA)$/.test(element.nodeName));

  function morphAttributes(from, to) {
    for (const { name, value } of [...to.attributes]) {
      if (!ofTheReader(from, name) && from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    for (const { name } of [...from.attributes]) {
      if (!ofTheReader(from, name) && !to.hasAttribute(name)) from.removeAttribute(name);
    }
  }

  function isSelected(node) {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && selection.containsNode(node, true);
  }

  function morph(from, to) {
    if (from.nodeType !== 1) {
      if (from.data !== to.data && !isSelected(from)) from.data = to.data;
      return;
    }
    morphAttributes(from, to);
    morphChildren(from, to);
  }

  function morphChildren(from, to) {
    const byKey = new Map();
    for (const child of from.children) if (keyOf(child)) byKey.set(keyOf(child), child);
    let at = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const key = keyOf(wanted);
      const found = key ? byKey.get(key) : at && alike(at, wanted) ? at : null;
      if (found && alike(found, wanted)) {
        if (found === at) at = at.nextSibling;
        else from.insertBefore(found, at);
        morph(found, wanted);
      } else {
        from.insertBefore(document.importNode(wanted, true), at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      // What became of an action is told once, and stays until the page is left.
      if (!(at.nodeType === 1 && at.hasAttribute("data-stay"))) at.remove();
      at = next;
    }
  }

  // Replaces what differs in all marked regions. Focus comes back to an element that was moved.
  function show(page) {
    const focused = document.activeElement;
    for (const region of document.querySelectorAll("[data-region]")) {
      const now = page.getElementById(region.id);
      if (now) morph(region, now);
    }
    if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
    prepare();
  }

  // ---- Whether what is shown is of now

  let agedAt = performance.now() - 1000 * Number(pulse ? pulse.dataset.age : 0);
  let state = "";

  function say(next) {
    if (!pulse) return;
    const age = Math.max(0, Math.round((performance.now() - agedAt) / 1000));
    const texts = { live: "live", gone: "not there any more", lost: `not connected, values of ${ageInWords(age)} ago` };
    const text = texts[next];
    pulse.dataset.state = next;
    if (pulse.firstElementChild.textContent !== text) pulse.firstElementChild.textContent = text;
    if (state !== next && (state || next !== "live")) {
      const news = { live: "Connected again.", gone: "This is not there any more.", lost: "Not connected. Old values are shown." };
      status.textContent = news[next];
    }
    state = next;
  }

  function ageInWords(seconds) {
    if (seconds < 100) return `${seconds} s`;
    const minutes = Math.floor(seconds / 60);
    return minutes < 100 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
  }

  // ---- Reading the page again: one request at a time, none while nobody looks

  let reading = null;
  let again = false;
  let lastRead = performance.now();

  async function read(address = location.href) {
    if (reading) {
      again = true;
      return reading;
    }
    reading = fetchPage(address).finally(() => { reading = null; });
    await reading;
    if (again) {
      again = false;
      setTimeout(read, 250);
    }
  }

  async function fetchPage(address) {
    try {
      const response = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store", redirect: "follow" });
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      lastRead = performance.now();
      if (address !== location.href && address !== lastWanted) return;
      if (response.status === 401 || page.getElementById("login")) {
        location.reload();
        return;
      }
      const theirs = page.getElementById("pulse");
      if (!response.ok || !theirs) {
        // What was seen stays to be read.
        say(response.status === 404 ? "gone" : "lost");
        return;
      }
      agedAt = performance.now() - 1000 * Number(theirs.dataset.age);
      say(theirs.dataset.state === "lost" ? "lost" : "live");
      show(page);
    } catch {
      say("lost");
    }
  }

  function listen() {
    if (!stream || !window.EventSource) return;
    const source = new EventSource(stream);
    source.addEventListener("open", () => {
      if (state === "lost") read();
      else say(pulse.dataset.state === "lost" ? "lost" : "live");
    });
    for (const news of ["changed", "back", "gone", "lost"]) {
      source.addEventListener(news, () => { if (!document.hidden) read(); });
    }
    source.addEventListener("error", () => {
      // The server ends a stream now and then. Whether it is there shows when it is asked for the page.
      read();
      // A stream that was refused is not opened again by the browser.
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    });
    addEventListener("pagehide", () => source.close());
  }

  setInterval(() => {
    if (state === "lost") say("lost");
    // Ages and countdowns go on also when nothing happens.
    if (stream && !document.hidden && performance.now() - lastRead > 5000) read();
  }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden && stream) read(); });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

  // ---- Search while typing: the form is what it is without the script, its answer is shown in place

  let typing = 0;
  let lastWanted = location.href;
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form[data-search]");
    if (!form) return;
    clearTimeout(typing);
    typing = setTimeout(async () => {
      const wanted = new URL(form.action);
      for (const [name, value] of new FormData(form)) if (value) wanted.searchParams.set(name, value);
      lastWanted = wanted.href;
      await reading;
      if (lastWanted !== wanted.href) return;
      history.replaceState(null, "", wanted);
      await read(wanted.href);
    }, 180);
  });

  // ---- Keys

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const writing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && writing) writing.blur();
    if (writing) return;
    if (event.key === "/") {
      const search = document.querySelector("[data-search] input[type=search], input[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    } else if (event.key === "j" || event.key === "k") {
      step(event.key === "j" ? 1 : -1);
    }
  });

  // Goes to the next or the previous row of the list.
  function step(by) {
    const rows = [...document.querySelectorAll("[data-row]")];
    if (!rows.length) return;
    const now = rows.findIndex((row) => row === document.activeElement);
    const next = rows[Math.min(rows.length - 1, Math.max(0, now < 0 ? 0 : now + by))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  // ---- The values of a chart under the pointer

  document.addEventListener("pointermove", (event) => {
    const chart = event.target.closest && event.target.closest("svg.chart");
    for (const other of document.querySelectorAll("svg.chart[data-read]")) if (other !== chart) readChart(other, null);
    if (!chart) return;
    const box = chart.getBoundingClientRect();
    readChart(chart, Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
  });

  // Shows the values at a part of the width, or the last ones.
  function readChart(chart, part) {
    const cursor = chart.querySelector(".cursor");
    const x = (part === null ? 1 : part) * chart.viewBox.baseVal.width;
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    cursor.setAttribute("visibility", part === null ? "hidden" : "visible");
    const labels = chart.closest(".plot").querySelectorAll(".legend strong");
    const age = part === null ? 0 : ((1 - part) * Number(chart.dataset.span)) / 1000;
    chart.querySelectorAll("g[data-words]").forEach((line, at) => {
      const words = line.dataset.words.split("|");
      const word = words[Math.round((part === null ? 1 : part) * (words.length - 1))];
      labels[at].textContent = age < 30 ? word : `${word}, ${ageInWords(Math.round(age))} ago`;
    });
    chart.toggleAttribute("data-read", part !== null);
  }

  // ---- Copying

  function prepare() {
    for (const button of document.querySelectorAll("button[data-copy][hidden]")) button.hidden = !navigator.clipboard;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    status.textContent = "Copied.";
    button.classList.add("good");
    setTimeout(() => button.classList.remove("good"), 1200);
  });

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });

  prepare();
  listen();
})();
