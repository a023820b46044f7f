/* Search over the posts listed in search-index.js. Text only ever enters the page as text nodes. */
(function () {
  "use strict";

  var form = document.getElementById("search");
  var input = document.getElementById("query");
  var status = document.getElementById("status");
  var results = document.getElementById("results");
  var posts = window.egregoraPosts || [];
  var byId = new Map();
  var SHOWN = 50;
  var AROUND = 90;

  /* Without case and accents. One character stays one character, so that places in the folded text are places in the text. */
  function foldCharacter(character) {
    var folded = character.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    return folded.length === character.length ? folded : character;
  }

  function fold(text) {
    return Array.from(text, foldCharacter).join("");
  }

  var index = new MiniSearch({
    fields: ["title", "standfirst", "tags", "people", "text"],
    processTerm: function (term) {
      return fold(term.normalize("NFC")) || null;
    },
    extractField: function (post, field) {
      var value = post[field];
      return Array.isArray(value) ? value.join(" ") : value;
    },
    searchOptions: {
      boost: { title: 4, tags: 3, people: 2, standfirst: 2 },
      combineWith: "AND",
      prefix: function (term) { return term.length > 1; },
      fuzzy: function (term) { return term.length > 3 ? 0.2 : false; }
    }
  });
  posts.forEach(function (post, number) {
    post.id = number;
    byId.set(number, post);
  });
  index.addAll(posts);

  /* Where the matched words begin and end in `text`, in order, none over another. */
  function places(text, terms) {
    var folded = fold(text);
    var found = [];
    terms.forEach(function (term) {
      for (var at = folded.indexOf(term); at >= 0; at = folded.indexOf(term, at + term.length)) {
        if (at === 0 || !/[\p{L}\p{N}\p{M}]/u.test(folded[at - 1])) { found.push([at, at + term.length]); }
      }
    });
    found.sort(function (a, b) { return a[0] - b[0] || b[1] - a[1]; });
    return found.filter(function (place, n) { return n === 0 || place[0] >= found[n - 1][1]; });
  }

  function marked(element, text, terms) {
    var end = 0;
    places(text, terms).forEach(function (place) {
      if (place[0] < end) { return; }
      element.append(text.slice(end, place[0]));
      var mark = document.createElement("mark");
      mark.textContent = text.slice(place[0], place[1]);
      element.append(mark);
      end = place[1];
    });
    element.append(text.slice(end));
    return element;
  }

  /* The words around the first match, cut at spaces. */
  function excerpt(text, terms) {
    var first = places(text, terms)[0];
    if (!first) { return ""; }
    var from = Math.max(0, first[0] - AROUND);
    var to = Math.min(text.length, first[1] + AROUND * 2);
    if (from > 0) { from = Math.min(first[0], text.indexOf(" ", from) + 1 || from); }
    if (to < text.length) { to = Math.max(first[1], text.lastIndexOf(" ", to)); }
    return (from > 0 ? "… " : "") + text.slice(from, to) + (to < text.length ? " …" : "");
  }

  function item(hit) {
    var post = byId.get(hit.id);
    var terms = hit.terms;
    var li = document.createElement("li");
    li.className = "entry";
    var when = document.createElement("p");
    when.className = "when";
    when.textContent = post.dates;
    var title = document.createElement("h2");
    var link = marked(document.createElement("a"), post.title, terms);
    link.href = post.path;
    title.dir = "auto";
    if (post.language) { title.lang = post.language; }
    title.append(link);
    li.append(when, title);
    var words = excerpt(post.text, terms) || post.standfirst;
    if (words) {
      var snippet = marked(document.createElement("p"), words, terms);
      snippet.className = "standfirst";
      snippet.dir = "auto";
      if (post.language) { snippet.lang = post.language; }
      li.append(snippet);
    }
    return li;
  }

  function counted(n) {
    var forms = form.dataset.count.split("|");
    return forms[n === 1 ? 0 : 1].replace("{n}", String(n));
  }

  function search() {
    var query = input.value.trim();
    var hits = query ? index.search(query) : [];
    results.replaceChildren.apply(results, hits.slice(0, SHOWN).map(item));
    if (!query) {
      status.textContent = "";
    } else if (hits.length === 0) {
      status.textContent = form.dataset.none.split("{q}").join(query);
    } else {
      status.textContent = counted(hits.length);
    }
    /* The address keeps the question, so that a search can be linked to and "back" returns to it. */
    history.replaceState(null, "", query ? "#" + encodeURIComponent(query) : "#");
  }

  function asked() {
    try { return decodeURIComponent(location.hash.slice(1)); } catch (error) { return ""; }
  }

  /* Arrow keys walk from the field through the results and back. */
  function walk(event) {
    var step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) { return; }
    var stops = [input].concat(Array.from(results.querySelectorAll("a")));
    var next = stops[stops.indexOf(document.activeElement) + step];
    if (stops.includes(document.activeElement) && next) {
      event.preventDefault();
      next.focus();
    }
  }

  form.addEventListener("submit", function (event) {
    event.preventDefault();
    var first = results.querySelector("a");
    if (first) { first.focus(); }
  });
  input.addEventListener("input", search);
  document.addEventListener("keydown", walk);
  window.addEventListener("hashchange", function () {
    if (asked() !== input.value.trim()) { input.value = asked(); search(); }
  });
  if (asked()) { input.value = asked(); search(); }
  input.focus({ preventScroll: true });
})();
