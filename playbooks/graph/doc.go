// Package graph draws a plan: as SVG for people, as Mermaid for pages that
// render it, as DOT for other tools, as an outline for terminals.
//
// The SVG is one narrow column, so that it reads on a phone as on a desk: phases
// as bands, blocks as boxes in boxes, approvals, questions, holds and what takes
// an effect back in words of their own. It follows the reader's light or dark
// scheme. All text of the playbook is escaped; nothing of it becomes markup.
// The same plan gives the same bytes.
package graph
