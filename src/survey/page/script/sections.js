// The sections between the headline and the table of all objects: a sentence that says the point, then the figures.

function lead(...text) {
  return make("p", { class: "lead" }, ...text);
}

function tell(id, ...parts) {
  document.getElementById(id).append(...parts);
}

function namespaces(figures) {
  const rows = figures.byNamespace();
  if (!rows.length) return tell("namespaces", lead("No Pod was found."));
  const most = Math.max(1, ...rows.map((row) => row.pods));
  const clean = rows.filter((row) => row.compliant === row.judged && row.judged).length;
  const worst = rows.reduce((a, b) => ((b.violating ?? 0) > (a?.violating ?? 0) ? b : a), null);
  const number = (title, state) => ({
    title, number: true, style: state === "violating" ? null : "spare",
    by: (row) => row[state] ?? 0, cell: (row) => String(row[state] ?? 0),
  });
  tell(
    "namespaces",
    lead(
      `${clean} of ${count(rows.length, "namespace")} ${rows.length === 1 ? "is" : "are"} free of findings. `,
      ...(worst?.violating ? [said(worst.name), ` has most of the violating Pods: ${worst.violating}.`] : []),
    ),
    new Table({
      caption: "Pods by namespace", things: "namespace", rows, sort: 4, descending: true,
      columns: [
        {
          title: "Namespace", head: true, style: "name", by: (row) => row.name,
          cell: (row) => filtered({ namespace: row.name }, said(row.name)),
        },
        { title: "Pods", style: "bars", number: true, by: (row) => row.pods, cell: (row) => bar(row, most) },
        {
          title: "Share", number: true, by: (row) => (row.judged ? (row.compliant ?? 0) / row.judged : null),
          cell: (row) => percent(row.compliant ?? 0, row.judged),
        },
        number("Comply", "compliant"),
        number("Violate", "violating"),
        number("Not checked", "notChecked"),
        ...(rows.some((row) => row.unmatched) ? [number("No policy", "unmatched")] : []),
      ],
    }).node,
  );
}

/** Columns of images by age: what violates below, what does not above it. */
function ages(figures, images) {
  if (!images.length) return tell("ages", lead("No image was found."));
  const buckets = figures.byAge(images).filter((bucket, at) => AGES[at][1] !== null || bucket.images || bucket.pods);
  const highest = Math.max(1, ...buckets.map((bucket) => bucket.images));
  const old = buckets.filter(({ title }) => ["1–2 years", "over 2 years"].includes(title));
  const total = old.reduce((sum, bucket) => sum + bucket.images, 0);
  const columns = buckets.map((bucket) => {
    const clean = bucket.images - bucket.violating;
    const part = (state, n) => {
      const node = make("span", { class: `part ${state}` });
      node.style.height = `calc(var(--column) * ${n / highest})`;
      return node;
    };
    const told = bucket.pods ? percent(bucket.compliant, bucket.pods) : "–";
    return make(
      "tr", {},
      make("th", { scope: "row" }, bucket.title),
      make("td", { class: "column" }, make("span", { class: "stack", "aria-hidden": "true" },
        part("compliant", clean), part("violating", bucket.violating)), make("b", {}, String(bucket.images)),
      make("span", { class: "unseen" }, ` images, ${bucket.violating} of them violating`)),
      make("td", { class: "share" }, told),
    );
  });
  tell(
    "ages",
    lead(
      total ? `${count(total, "image")} ${total === 1 ? "is" : "are"} older than a year. ` : "No image is known to be older than a year. ",
      "Below each age: the share of Pods that comply, by their oldest image.",
    ),
    make("table", { class: "histogram" },
      make("caption", {}, "Images by age, and the share of Pods that comply by the age of their oldest image"),
      make("thead", {}, make("tr", {}, ...["Age", "Images", "Pods that comply"].map((title) => make("th", { scope: "col" }, title)))),
      make("tbody", {}, columns)),
    make("ul", { class: "legend small", "aria-label": "Colours" },
      make("li", {}, make("span", { class: "swatch violating" }), "images that violate"),
      make("li", {}, make("span", { class: "swatch compliant" }), "images that do not")),
  );
}

function worstImages(all) {
  const images = all.filter((image) => image.rules.size);
  const most = Math.max(1, ...images.map((image) => image.pods.size));
  const few = concentrated(images);
  const total = new Set(images.flatMap((image) => [...image.violating])).size;
  if (!images.length) return tell("images", lead("No image violates a policy."));
  tell(
    "images",
    lead(
      few
        ? `${few.images === 1 ? "One image is" : `${few.images} images are`} behind ${few.pods} of the ${count(few.all, "Pod")} that ${few.all === 1 ? "violates" : "violate"}: start there.`
        : `${count(images.length, "image")} ${images.length === 1 ? "is" : "are"} behind ${count(total, "violating Pod")}.`,
    ),
    new Table({
      caption: "Images that violate policies, by the Pods that run them", things: "image", rows: images, sort: 2, descending: true,
      columns: [
        { title: "Image", head: true, style: "image", by: (row) => row.name, cell: (row) => filtered({ q: row.name }, said(row.name)) },
        {
          title: "Pods", style: "bars narrow spare", cell: (row) =>
            bar({ violating: row.violating.size, compliant: row.pods.size - row.violating.size }, most),
        },
        {
          title: "Violating Pods", number: true, by: (row) => row.violating.size,
          cell: (row) => `${row.violating.size} of ${row.pods.size}`,
        },
        { title: "Violations", style: "rules spare", by: (row) => -row.rules.size, cell: (row) => rules([...row.rules.keys()]) },
        { title: "Age", number: true, by: (row) => row.age, cell: (row) => age(row.age) },
      ],
    }).node,
  );
}

/** Rules as small tags, the first three of them. */
function rules(names) {
  const tags = names.slice(0, 3).map((name) => make("span", { class: "tag" }, said(name)));
  if (names.length > 3) tags.push(make("span", { class: "muted" }, `+${names.length - 3}`));
  return make("span", { class: "tags" }, tags);
}

function howMany(row) {
  return typeof row.pods === "number" ? row : { pods: row.pods.size, templates: row.templates.size };
}

const AFFECTED = {
  title: "Pods", number: true, by: (row) => howMany(row).pods,
  cell: (row) => {
    const { pods, templates } = howMany(row);
    return pods || !templates ? String(pods) : `0 (${count(templates, "template")})`;
  },
};

function unchecked(figures) {
  const rows = figures.unchecked();
  if (!rows.length) return tell("unchecked", lead("Every image could be looked at."));
  tell(
    "unchecked",
    lead(`${count(rows.length, "image")} could not be looked at. Whether the Pods that run ${rows.length === 1 ? "it" : "them"} comply is not known.`),
    new Table({
      caption: "Images that could not be checked, with the reason", things: "image", rows, sort: 3, descending: true,
      columns: [
        { title: "Image", head: true, style: "image", by: (row) => row.image, cell: (row) => filtered({ q: row.image }, said(row.image)) },
        { title: "Why", by: (row) => row.why, cell: (row) => make("span", { class: "tag" }, said(row.why)) },
        { title: "What was met", style: "wide", cell: (row) => said(row.detail) },
        AFFECTED,
      ],
    }).node,
  );
}

function drift(figures) {
  const rows = figures.drifted();
  if (!rows.length) return tell("drift", lead("Every running image that could be compared is what its tag names now."));
  const pods = new Set(rows.map((row) => row.pod)).size;
  tell(
    "drift",
    lead(`${count(pods, "Pod")} ${pods === 1 ? "runs" : "run"} an image that its tag no longer names. Restarted, they would run another one.`),
    new Table({
      caption: "Containers whose image is not what its tag names now", things: "container", rows, sort: 0,
      columns: [
        {
          title: "Pod", head: true, style: "name", by: ({ pod }) => `${pod.namespace}/${pod.name}`,
          cell: ({ pod }) => filtered({ namespace: pod.namespace ?? "", q: pod.name, state: "drifted" }, said(`${pod.namespace}/${pod.name}`)),
        },
        { title: "Image", style: "image", by: ({ image }) => named(image), cell: ({ image }) => said(named(image)) },
        { title: "Runs", cell: ({ image }) => make("code", {}, shortened(image.runningDigest)) },
        { title: "Its tag names now", cell: ({ image }) => make("code", {}, shortened(image.digest)) },
      ],
    }).node,
  );
}

function exceptions(figures) {
  const rows = figures.exceptions();
  if (!rows.length) return tell("exceptions", lead("No exception was used."));
  tell(
    "exceptions",
    lead(`${count(rows.length, "exception")} ${rows.length === 1 ? "keeps" : "keep"} violations from counting.`),
    new Table({
      caption: "Exceptions that were used", things: "exception", rows, sort: 2, descending: true,
      columns: [
        { title: "Exception", head: true, style: "name", by: (row) => row.name, cell: (row) => filtered({ q: row.name, state: "excepted" }, said(row.name)) },
        { title: "What it excepts", style: "rules", cell: (row) => rules([...row.rules]) },
        AFFECTED,
      ],
    }).node,
  );
}
