"use strict";
// Draws the charts and connects the switches to them. Everything it needs is in the page.
(() => {
  const { specs, tables, diagonal } = JSON.parse(document.getElementById("charts").textContent);
  const views = [];

  // Rows of a table as objects, those of one arm if an arm is named.
  function rows(name, arm) {
    const { columns, rows } = tables[name];
    const at = columns.indexOf("arm");
    return rows
      .filter((row) => arm === undefined || row[at] === arm)
      .map((row) => Object.fromEntries(row.map((value, place) => [columns[place], value])));
  }

  // The names of the tables that a specification draws.
  function drawn(spec, found = new Set()) {
    if (spec.data && spec.data.name) found.add(spec.data.name);
    for (const layer of spec.layer || []) drawn(layer, found);
    return found;
  }

  async function draw(box) {
    const spec = structuredClone(specs[box.dataset.spec]);
    spec.datasets = {};
    for (const name of drawn(spec)) {
      spec.datasets[name] = name === "diagonal" ? diagonal : rows(name, box.dataset.arm);
    }
    const { view } = await vegaEmbed(box, spec, { actions: false, renderer: "svg" });
    views.push(view);
  }

  function set(signal, value) {
    for (const view of views) {
      if (signal in view.getState({ signals: (name) => name === signal, data: () => false }).signals) {
        view.signal(signal, value).runAsync();
      }
    }
  }

  function connect() {
    for (const box of document.querySelectorAll("input[data-param]")) {
      box.addEventListener("change", () => set(box.dataset.param, box.checked));
    }
    const arms = [...document.querySelectorAll("input[data-shown]")];
    for (const box of arms) {
      box.addEventListener("change", () => {
        for (const twin of arms) if (twin.dataset.shown === box.dataset.shown) twin.checked = box.checked;
        set("shown", [...new Set(arms.filter((twin) => twin.checked).map((twin) => twin.dataset.shown))]);
      });
    }
  }

  addEventListener("beforeprint", () => {
    for (const closed of document.querySelectorAll("details:not([open])")) closed.open = true;
  });

  (async () => {
    for (const box of document.querySelectorAll(".chart[data-spec]")) await draw(box);
    connect();
    document.documentElement.dataset.drawn = "yes";
  })();
})();
