
/* Proofbook's part of the search; it stands behind the theme's worker, in the same file. */
;(() => {
  "use strict"

  /* The theme marks, copies and sends to the page all that it finds, of which a reader sees the first ten. In a house of thousands of
     runbooks that is most of the wait. So it is handed the best pages alone; one more than these tells that there are more. */
  const MOST = 100
  const search = lunr.Index.prototype.search

  lunr.Index.prototype.search = function (query) {
    const found = search.call(this, query)
    if (found.length <= MOST) return found
    const words = [...new Set(query.toLowerCase().split(/\s+/))].map(word => word.replace(/^[+-]|[*~^].*$/g, ""))
    const pages = new Set()
    return found
      .map(one => [weight(one, words), one])
      .sort(([one], [other]) => other - one)
      .map(([, one]) => one)
      .filter(({ ref }) => {
        const [page] = ref.split("#", 1)
        if (pages.size <= MOST) pages.add(page)
        return pages.has(page)
      })
  }

  /* As the theme ranks: a page before its sections, and what has more of the words before what has fewer. */
  function weight({ ref, score, matchData }, words) {
    const terms = Object.keys(matchData.metadata)
    const share = words.filter(word => terms.some(term => term.startsWith(word))).length / words.length
    return score * (1 + (!ref.includes("#") + share) ** 2)
  }

  /* By this text lunr knows two parts of its tree of words as one. Without gaps, digits of words run into those of numbers: then it
     finds words that are nowhere, and fails. */
  lunr.TokenSet.prototype.toString = function () {
    const edges = Object.keys(this.edges).sort().map(label => `${label}${this.edges[label].id}`)
    return `${this.final} ${edges.join(" ")}`
  }
})()
