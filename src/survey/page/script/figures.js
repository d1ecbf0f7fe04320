// What the document says, added up. Nothing here touches the page.

/** The day of a text in RFC 3339, as milliseconds; null if it is none. */
function moment(text) {
  const at = Date.parse(text ?? "");
  return Number.isNaN(at) ? null : at;
}

/** Before containers, and after tomorrow, a time is what reproducible builds or wrong clocks write. */
const FIRST = Date.UTC(1980, 0, 2);
const DAY = 86_400_000;

/** Whole days from `text` to when the scan was made; null if it is not known. */
function days(text, generated) {
  const at = moment(text);
  if (at === null || generated === null || at < FIRST || at > generated + DAY) return null;
  return Math.max(0, Math.floor((generated - at) / DAY));
}

/** How a person says that many days. */
function age(days) {
  if (days === null) return "unknown";
  if (days < 1) return "today";
  if (days < 60) return count(days, "day");
  if (days < 730) return count(Math.floor(days / 30.44), "month");
  return `${(days / 365.25).toFixed(1)} years`;
}

const AGES = [
  ["under a week", 7],
  ["1–4 weeks", 28],
  ["1–3 months", 92],
  ["3–6 months", 183],
  ["6–12 months", 366],
  ["1–2 years", 731],
  ["over 2 years", Infinity],
  ["not known", null],
];

/** The entry of `map` at `key`, made if it is not there. */
function entry(map, key, create) {
  if (!map.has(key)) map.set(key, create());
  return map.get(key);
}

function add(counts, state) {
  counts[state] = (counts[state] ?? 0) + 1;
}

/** What identifies an image for a reader: its normalised name, or what was written. */
function named(image) {
  return image.reference ?? image.image ?? "";
}

/** The rule of a policy that a finding is of; what could not be looked at is of the whole policy. */
function ruled(finding) {
  return [finding.policy, finding.rule].filter(Boolean).join("/");
}

class Figures {
  constructor(scan) {
    this.generated = moment(scan.generatedAt);
    this.objects = scan.objects ?? [];
    this.pods = this.objects.filter((object) => !object.isTemplate);
  }

  byNamespace() {
    const spaces = new Map();
    for (const pod of this.pods) {
      const space = entry(spaces, pod.namespace ?? "", () => ({ name: pod.namespace ?? "", pods: 0 }));
      space.pods += 1;
      add(space, pod.compliance);
    }
    return [...spaces.values()].map((space) => ({ ...space, judged: space.pods - (space.unmatched ?? 0) }));
  }

  /** Each image, with the Pods and templates that name it and what of it violates. */
  byImage() {
    const images = new Map();
    for (const object of this.objects) {
      const at = new Map();
      for (const image of object.images ?? []) {
        const found = entry(images, named(image), () => ({
          name: named(image), pods: new Set(), violating: new Set(), templates: new Set(),
          rules: new Map(), age: null,
        }));
        (object.isTemplate ? found.templates : found.pods).add(object);
        found.age ??= days(image.created, this.generated);
        at.set(image.fieldPath, found);
        at.set(image.image, at.get(image.image) ?? found);
      }
      for (const finding of object.findings ?? []) {
        const image = at.get(finding.fieldPath) ?? at.get(finding.image);
        if (finding.kind !== "violation" || !image) continue;
        if (!object.isTemplate) image.violating.add(object);
        const rule = ruled(finding);
        image.rules.set(rule, (image.rules.get(rule) ?? 0) + 1);
      }
    }
    return [...images.values()];
  }

  /** The images by age, and the Pods by the age of their oldest image. */
  byAge(images) {
    const bucket = (age) => AGES.findIndex(([, end]) => (age === null ? end === null : end !== null && age < end));
    const ages = AGES.map(([title]) => ({ title, images: 0, violating: 0, pods: 0, compliant: 0 }));
    for (const image of images) {
      const found = ages[bucket(image.age)];
      found.images += 1;
      if (image.rules.size) found.violating += 1;
    }
    for (const pod of this.pods.filter((pod) => pod.compliance !== "unmatched")) {
      const known = (pod.images ?? []).map((image) => days(image.created, this.generated));
      const oldest = known.filter((age) => age !== null);
      const found = ages[bucket(oldest.length ? Math.max(...oldest) : null)];
      found.pods += 1;
      if (pod.compliance === "compliant") found.compliant += 1;
    }
    return ages;
  }

  /** The images that could not be looked at, with why; and expressions that could not be evaluated. */
  unchecked() {
    const found = new Map();
    const note = (object, image, why, detail) => {
      const row = entry(found, JSON.stringify([image, why]), () => ({ image, why, detail, pods: 0, templates: 0 }));
      row[object.isTemplate ? "templates" : "pods"] += 1;
    };
    for (const object of this.objects) {
      const seen = new Set();
      const once = (image, why, detail) => {
        if (!seen.has(`${image} ${why}`)) note(object, image, why, detail);
        seen.add(`${image} ${why}`);
      };
      const failed = new Set();
      for (const image of (object.images ?? []).filter((image) => image.error)) {
        failed.add(image.fieldPath);
        once(named(image), image.error.kind, image.error.detail);
      }
      for (const finding of object.findings ?? []) {
        const other = finding.kind === "evaluation-error";
        const unresolved = finding.kind === "unresolved" && !failed.has(finding.fieldPath);
        if (other || unresolved) {
          const why = other ? `${ruled(finding)} failed` : finding.unresolvedKind ?? "Unresolved";
          once(finding.image ?? "", why, finding.found);
        }
      }
    }
    return [...found.values()];
  }

  drifted() {
    return this.pods.flatMap((pod) =>
      (pod.images ?? []).filter((image) => image.drifted).map((image) => ({ pod, image })),
    );
  }

  exceptions() {
    const found = new Map();
    for (const object of this.objects) {
      for (const excepted of object.excepted ?? []) {
        const name = excepted.exception ?? "";
        const row = entry(found, name, () => ({ name, rules: new Set(), pods: new Set(), templates: new Set() }));
        row.rules.add(ruled(excepted));
        (object.isTemplate ? row.templates : row.pods).add(object);
      }
    }
    return [...found.values()];
  }
}

/**
 * The fewest images that hold half of the violating Pods or more, as a greedy choice finds them; a Pod counts once
 * all of its violating images are among them. Nothing is said if that takes more than five, or if every image weighs
 * the same.
 */
function concentrated(images) {
  const ranked = images.filter((image) => image.violating.size).sort((a, b) => b.violating.size - a.violating.size);
  const left = new Map();
  for (const image of ranked) for (const pod of image.violating) left.set(pod, (left.get(pod) ?? 0) + 1);
  const all = left.size;
  let pods = 0;
  for (const [at, image] of ranked.slice(0, 5).entries()) {
    for (const pod of image.violating) {
      left.set(pod, left.get(pod) - 1);
      if (left.get(pod) === 0) pods += 1;
    }
    const few = (at + 1) * all < pods * ranked.length;
    if (pods * 2 >= all) return few ? { images: at + 1, pods, all } : null;
  }
  return null;
}
