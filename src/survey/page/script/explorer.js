// The table of all Pods and templates: searched, filtered, sorted, a page at a time. What is set is kept in the URL's
// fragment, so that a link shows the same rows.

const PAGE = 50;
const PRINTED = 500;

// What else may be asked for, with the policy that is chosen, if one is.
const CONDITIONS = {
  violating: ["Pods that violate the policy", (object, policy) => !object.isTemplate && violates(object, policy)],
  denied: ["Would be refused", (object) => !object.isTemplate && object.outcome === "denied"],
  drifted: ["Drifted", (object) => (object.images ?? []).some((image) => image.drifted)],
  "never-judged": ["Never judged", (object) => !object.isTemplate && Boolean(object.neverJudged)],
  excepted: ["Excepted", (object) => Boolean(object.excepted?.length)],
  templates: ["Templates", (object) => Boolean(object.isTemplate)],
  pods: ["Pods", (object) => !object.isTemplate],
};

function violates(object, policy) {
  return (object.findings ?? []).some((found) => found.kind === "violation" && (!policy || found.policy === policy));
}

/** The worst first: those that violate, of those the ones that would be refused, of those the ones with most findings. */
function badness(row) {
  const state = ["violating", "notChecked", "unmatched", "compliant"].indexOf(row.compliance);
  return state * 10_000 + (row.outcome === "denied" ? 0 : 5_000) - Math.min((row.findings ?? []).length, 4_999);
}

const LABELS = { q: "Search", namespace: "Namespace", policy: "Policy", kind: "Kind", compliance: "Compliance", state: "Only" };

const OBJECTS = [
  {
    title: "Compliance", style: "state", by: badness,
    cell: (row) => make("span", { class: `badge ${row.compliance}` }, WORDS[row.compliance] ?? said(row.compliance)),
  },
  { title: "Namespace", style: "space", by: (row) => row.namespace ?? "", cell: (row) => said(row.namespace) },
  { title: "Name", head: true, style: "name", by: (row) => row.name ?? "" },
  { title: "Kind", style: "kind spare", by: (row) => row.kind ?? "", cell: (row) => said(row.kind) },
  {
    title: "Images", style: "image spare", by: (row) => (row.images ?? []).map(named).join(" "),
    cell: (row) => {
      const [first, ...others] = [...new Set((row.images ?? []).map((image) => image.image))];
      return make("span", {}, said(first), others.length ? make("span", { class: "muted" }, ` +${others.length}`) : null);
    },
  },
  {
    title: "Findings", style: "rules", by: (row) => -(row.findings ?? []).length,
    cell: (row) => rules([...new Set((row.findings ?? []).map((found) => ruled(found)))]),
  },
];

class Explorer {
  constructor(figures) {
    this.generated = figures.generated;
    this.rows = figures.objects;
    this.texts = this.rows.map(searched);
    this.open = new Set();
    this.page = 0;
    this.sort = OBJECTS[0];
    this.descending = false;
    this.build();
    this.read();
    addEventListener("hashchange", () => this.read());
    addEventListener("beforeprint", () => this.show(PRINTED));
    addEventListener("afterprint", () => this.show());
  }

  build() {
    const distinct = (list) => [...new Set(list)].filter(Boolean).sort(order.compare).map((name) => [name, name]);
    this.fields = {
      q: make("input", { type: "search", id: "q", placeholder: "Name, image, rule, message …", autocomplete: "off", spellcheck: "false" }),
      namespace: choice("namespace", distinct(this.rows.map((row) => row.namespace))),
      policy: choice("policy", distinct(this.rows.flatMap((row) => row.policies ?? []))),
      kind: choice("kind", distinct(this.rows.map((row) => row.kind))),
      compliance: choice("compliance", STATES.map((state) => [state, WORDS[state]])),
      state: choice("state", Object.entries(CONDITIONS).map(([key, [title]]) => [key, title])),
    };
    for (const field of Object.values(this.fields)) {
      field.addEventListener(field.tagName === "SELECT" ? "change" : "input", () => this.change());
    }
    this.clear = make("button", { type: "button" }, "Clear filters");
    this.clear.addEventListener("click", () => {
      for (const field of Object.values(this.fields)) field.value = "";
      this.change();
      this.fields.q.focus();
    });
    const controls = Object.entries(this.fields).map(([name, field]) =>
      make("div", { class: `field ${name}` }, make("label", { for: field.id }, LABELS[name]), field));
    this.status = make("p", { role: "status", id: "status" });
    this.printed = make("p", { class: "printed" });
    this.headings = OBJECTS.map((column) => this.heading(column));
    this.body = make("tbody");
    this.pages = make("nav", { class: "pages", "aria-label": "Pages of the table" });
    tell(
      "objects",
      make("div", { class: "filters", role: "search", "aria-label": "Pods and templates", hidden: !this.rows.length }, controls, this.clear),
      this.status, this.printed,
      make("div", { class: "scroll", hidden: !this.rows.length }, make("table", { id: "table" },
        make("caption", {}, "All Pods and templates; open a name for its findings"),
        make("thead", {}, make("tr", {}, this.headings)), this.body)),
      this.pages,
    );
  }

  heading(column) {
    const button = make("button", { type: "button", class: "sort" }, column.title);
    button.addEventListener("click", () => {
      this.descending = this.sort === column && !this.descending;
      this.sort = column;
      this.page = 0;
      this.show();
    });
    return make("th", { scope: "col", class: styles(column) }, button);
  }

  /** Takes the filters from the URL, if it has any. */
  read() {
    const set = new URLSearchParams(location.hash.slice(1));
    const any = location.hash.includes("=");
    if (any) {
      for (const [name, field] of Object.entries(this.fields)) this.choose(name, field, set.get(name) ?? "");
    }
    this.page = 0;
    this.show();
    if (any) visit("objects");
  }

  choose(name, field, value) {
    // A name in a link that this scan does not have is still what is asked for: it finds nothing, and says so.
    if (field.tagName === "SELECT" && value && ![...field.options].some((option) => option.value === value)) {
      field.append(make("option", { value }, clean(value)));
    }
    field.value = value;
  }

  change() {
    const set = Object.entries(this.fields).map(([name, field]) => [name, field.value]).filter(([, value]) => value);
    history.replaceState(null, "", set.length ? `#${new URLSearchParams(set)}` : "#objects");
    this.page = 0;
    this.show();
  }

  /** The rows that the filters leave, sorted. */
  found() {
    const { namespace, policy, kind, compliance, state } = this.fields;
    const words = this.fields.q.value.toLowerCase().split(/\s+/).filter(Boolean);
    const condition = CONDITIONS[state.value]?.[1];
    const rows = this.rows.filter((row, at) =>
      (!namespace.value || row.namespace === namespace.value) &&
      (!policy.value || (row.policies ?? []).includes(policy.value)) &&
      (!kind.value || row.kind === kind.value) &&
      (!compliance.value || row.compliance === compliance.value) &&
      (!state.value || condition?.(row, policy.value)) &&
      words.every((word) => this.texts[at].includes(word)));
    return sorted(rows, this.sort.by, this.descending);
  }

  show(most = PAGE) {
    const rows = this.found();
    mark(this.headings, OBJECTS, this.sort, this.descending);
    const last = Math.max(0, Math.ceil(rows.length / PAGE) - 1);
    this.page = Math.min(this.page, last);
    const start = most === PAGE ? this.page * PAGE : 0;
    const shown = rows.slice(start, start + most);
    this.body.replaceChildren(...shown.flatMap((row, at) => this.line(row, at)));
    this.status.textContent = this.told(rows, start, shown.length);
    const set = Object.entries(this.fields).filter(([, field]) => field.value);
    this.printed.textContent = set.map(([name, field]) => `${LABELS[name]}: ${clean(field.value)}`).join(" · ");
    this.clear.hidden = !set.length;
    this.turn(last);
  }

  told(rows, start, shown) {
    if (!this.rows.length) return "The scan found nothing.";
    const all = `${rows.length} of ${count(this.rows.length, "object")}`;
    if (!rows.length) return `${all}: nothing matches.`;
    const templates = rows.filter((row) => row.isTemplate).length;
    const pods = rows.length - templates;
    const kinds = [pods && count(pods, "Pod"), templates && count(templates, "template")].filter(Boolean).join(" and ");
    return `${all}: ${kinds}${shown < rows.length ? `, of which ${start + 1} to ${start + shown} are shown` : ""}`;
  }

  line(row, at) {
    const id = `details-${at}`;
    const button = make("button", { type: "button", class: "open", "aria-controls": id }, said(row.name));
    const more = make("tr", { id, class: "opened" });
    const open = (is) => {
      button.setAttribute("aria-expanded", String(is));
      more.hidden = !is;
      if (is && !more.hasChildNodes()) more.append(make("td", { colspan: OBJECTS.length }, details(row, this.generated)));
    };
    button.addEventListener("click", () => {
      const is = !this.open.has(row);
      if (is) this.open.add(row);
      else this.open.delete(row);
      open(is);
    });
    open(this.open.has(row));
    const owner = row.owner ? make("span", { class: "muted" }, said(`${row.owner.kind} ${row.owner.name}`)) : null;
    const line = OBJECTS.map((column) => column.cell ? cells([column], row)[0] : make("th", { scope: "row", class: "name" }, button, owner));
    return [make("tr", {}, line), more];
  }

  turn(last) {
    this.pages.hidden = last === 0;
    const step = (title, to) => {
      const button = make("button", { type: "button", disabled: to < 0 || to > last }, title);
      button.addEventListener("click", () => {
        this.page = to;
        this.show();
        visit("objects");
      });
      return button;
    };
    this.pages.replaceChildren(
      step("Previous", this.page - 1), make("span", {}, `Page ${this.page + 1} of ${last + 1}`), step("Next", this.page + 1));
  }
}

function choice(name, options) {
  return make("select", { id: `by-${name}` }, make("option", { value: "" }, "All"),
    options.map(([value, title]) => make("option", { value }, clean(title))));
}

/** All that a search looks at. */
function searched(object) {
  const { namespace, name, kind, owner } = object;
  return [
    namespace, name, kind, owner?.kind, owner?.name,
    ...(object.images ?? []).flatMap((image) => [image.container, image.image, image.reference, image.digest, image.runningDigest, image.error?.kind]),
    ...[...(object.findings ?? []), ...(object.excepted ?? [])].flatMap((found) => [
      ruled(found), found.found, found.wanted, found.message, found.exception]),
  ].filter(Boolean).join("\n").toLowerCase();
}
