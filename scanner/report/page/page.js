"use strict";
(() => {
  // What is told of a finding comes from scanned trees: it becomes text of nodes, never markup.
  const { findings, coverage } = JSON.parse(document.getElementById("data").textContent);
  const page = 200; // findings drawn at once: more than anyone reads before scrolling, and drawn without a wait
  const $ = (id) => document.getElementById(id);
  const list = $("list");
  let shown = page;

  const el = (name, cls, text) => {
    const n = document.createElement(name);
    if (cls) n.className = cls;
    if (text !== undefined) n.textContent = text;
    return n;
  };
  const place = (f) => {
    const name = f.path || "<" + ((f.labels || []).at(-1) || f.source) + ">";
    return f.target ? f.target + "/" + name : name;
  };
  for (const f of findings) {
    f.place = place(f);
    f.rules = [...new Set([f.rule_id, ...(f.also || []), f.pair_rule_id].filter(Boolean))];
    f.all = [f.rule_id, f.description, f.provider, f.place, f.secret, f.masked, f.commit, f.author, f.email, f.token_id, f.incident_id, f.contained, f.finding_id,
      f.pair_rule_id, f.pair_secret, f.ignored, f.dropped, ...(f.also || []), ...(f.moved_to || []), ...(f.refs || []), ...(f.labels || []), ...(f.why || [])].filter(Boolean).join("\n").toLowerCase();
  }

  // glob makes a test of a path pattern: * stands for anything; without one, a part of the path.
  const glob = (p) => {
    if (!p) return () => true;
    if (!p.includes("*")) return (s) => s.toLowerCase().includes(p.toLowerCase());
    const parts = p.toLowerCase().split("*");
    return (s) => {
      s = s.toLowerCase();
      let at = 0;
      for (const part of parts) {
        const i = s.indexOf(part, at);
        if (i < 0) return false;
        at = i + part.length;
      }
      return parts.at(-1) === "" || s.endsWith(parts.at(-1));
    };
  };

  const chosen = () => {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const inPath = glob($("path").value.trim());
    const rule = $("rule").value;
    const conf = new Set([...document.querySelectorAll("[name=confidence]:checked")].map((n) => n.value));
    return findings.filter((f) => (!rule || f.rules.includes(rule)) && conf.has(f.confidence) && inPath(f.place) && words.every((w) => f.all.includes(w)));
  };

  const card = (f) => {
    const a = el("article", f.confidence);
    const top = el("p", "top");
    top.append(el("b", "", f.rule_id), el("span", "conf " + f.confidence, f.confidence), el("code", "", f.secret));
    for (const l of f.labels || []) top.append(el("span", "tag", l));
    a.append(top, el("p", "", f.place + (f.start_line ? ":" + f.start_line + ":" + f.start_column : "")));
    if (f.masked) a.append(el("code", "line", f.masked));
    if (f.pair_rule_id) {
      const p = el("p", "pair", "its public half: ");
      p.append(el("b", "", f.pair_rule_id), "at " + f.pair_start_line + ":" + f.pair_start_column);
      if (/[^*]/.test(f.pair_secret || "")) p.append(el("code", "", f.pair_secret));
      a.append(p);
    }
    if (f.also) a.append(el("p", "faint also", "matched by " + f.also.join(", ") + " too"));
    if (f.commit) {
      let s = "commit " + f.commit.slice(0, 10);
      if (f.date) s += " " + f.date.slice(0, 10);
      if (f.author) s += " by " + f.author + (f.email ? " <" + f.email + ">" : "");
      if (f.in_head !== undefined) s += f.in_head ? ", still in HEAD" : ", no longer in HEAD";
      if (f.blobs > 1) s += ", " + f.blobs + " versions";
      a.append(el("p", "faint", s));
      if (f.refs) a.append(el("p", "faint", "on " + f.refs.join(", ")));
    }
    if (f.moved_to) a.append(el("p", "faint", "moved to " + f.moved_to.join(", ")));
    if (f.decoded_via) a.append(el("p", "faint", "decoded from " + f.decoded_via.join(", ")));
    if (f.why) a.append(el("p", "faint", "because: " + f.why.join(", ")));
    if (f.dropped) a.append(el("p", "faint", "no finding: " + f.dropped));
    if (f.ignored) a.append(el("p", "faint", "ignored by " + f.ignored));
    if (f.token_id) a.append(el("p", "strong", "issued token " + f.token_id));
    if (f.contained) a.append(el("p", "strong", f.contained));
    if (f.incident_id) a.append(el("p", "faint", "incident " + f.incident_id));
    return a;
  };

  const groupOf = {
    secret: (f) => [f.secret_group ? "s" + f.secret_group : "f" + f.finding_id, f.secret],
    rule: (f) => [f.rule_id, f.rule_id],
    path: (f) => [f.place, f.place],
  };

  const draw = () => {
    const out = chosen();
    const by = groupOf[$("group").value];
    list.replaceChildren();
    let drawn = 0;
    if (by) {
      const groups = new Map();
      for (const f of out) {
        const [key, name] = by(f);
        if (!groups.has(key)) groups.set(key, { name, of: [] });
        groups.get(key).of.push(f);
      }
      for (const g of [...groups.values()].sort((a, b) => b.of.length - a.of.length)) {
        if (drawn >= shown) break;
        const h = el("h2", "", g.name + " ");
        h.append(el("small", "", g.of.length === 1 ? "1 finding" : g.of.length + " findings"));
        list.append(h);
        for (const f of g.of.slice(0, shown - drawn)) { list.append(card(f)); drawn++; }
      }
    } else {
      for (const f of out.slice(0, shown)) { list.append(card(f)); drawn++; }
    }
    if (!out.length) list.append(el("p", "none", findings.length ? "Nothing fits these filters." : "No findings."));
    if (drawn < out.length) {
      const more = el("button", "", "Show " + Math.min(page, out.length - drawn) + " more of " + (out.length - drawn));
      more.id = "more";
      more.type = "button";
      more.onclick = () => { shown += page; draw(); };
      list.append(more);
    }
    const n = out.length === findings.length ? "" : out.length + " of ";
    const whole = !coverage ? "; what was covered is not told" : coverage.complete ? ", complete" : "; the scan is not complete";
    $("verdict").textContent = n + findings.length + (findings.length === 1 ? " finding" : " findings") + whole;
  };

  const rules = new Map();
  for (const f of findings) for (const id of f.rules) rules.set(id, (rules.get(id) || 0) + 1);
  for (const [id, n] of [...rules].sort((a, b) => b[1] - a[1])) {
    const o = el("option", "", id + " (" + n + ")");
    o.value = id;
    $("rule").append(o);
  }
  if (coverage) {
    const dl = document.querySelector("#coverage dl");
    const row = (k, v) => dl.append(el("dt", "", k.replaceAll("_", " ")), el("dd", "", String(v)));
    for (const [k, v] of Object.entries(coverage)) {
      if (k === "skipped") for (const [r, n] of Object.entries(v)) row("skipped: " + r, n);
      else if (typeof v !== "object") row(k, v);
    }
    for (const u of coverage.unread || []) document.querySelector("#coverage ul").append(el("li", "", "not read: " + u.what + " (" + u.reason + ")" + (u.error ? ": " + u.error : "")));
    $("coverage").hidden = false;
  }
  $("controls").hidden = false;
  $("controls").onsubmit = (e) => e.preventDefault();
  $("controls").oninput = () => { shown = page; draw(); };
  draw();
})();
