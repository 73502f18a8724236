"""The Markdown of it."""

def share(x):
    """Three decimals, never rounded up to 1."""
    return "1" if x == 1 else f"{min(x, 0.9994):.3f}"


def bold_if(bad, text):
    return f"**{text}**" if bad else text


def figures(rows):
    """rows: (name, crowd, merged figures)."""
    out = ["| | open | verdicts right | of those given | unresolved | flags: precision, recall | pairing F1 | calibration error: verdicts, links "
           "| wrong `healthy` | to be flagged: bounds | gateway found | CPU s | MiB |",
           "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|"]
    for name, crowd, g in rows:
        if g["timed_out"] or g["crashed"]:
            out.append(f"| {name} | {crowd:.0f} | **{'out of time' if g['timed_out'] else 'crashed'}** |" + " |" * 9 + f" {g['cpu']:.1f} | {g['rss']:.0f} |")
            continue
        truth = f"{g['flagged_true']:.0f}" + (f" to {g['flagged_true'] + g['flagged_excused']:.0f}" if g["flagged_excused"] else "")
        bounds = bold_if(g["bounds_broken"], f"{truth}: {g['findings_at_least']:.0f} to {g['findings_at_most']:.0f}")
        out.append(f"| {name} | {crowd:.0f} | {share(g['verdict_accuracy'])} | {share(g['verdict_precision'])} | {g['unresolved_share']:.3f} "
                   f"| {share(g['flag_precision'])}, {share(g['flag_recall'])} | {share(g['pair_f1'])} "
                   f"| {g['verdict_ece']:.3f}, {g['link_ece']:.3f} | {bold_if(g['false_healthy'], '%d' % g['false_healthy'])} | {bounds} "
                   f"| {'**no**' if g['gateways_wrong'] else 'yes'} | {g['cpu']:.1f} | {g['rss']:.0f} |")
    return out


def beside(rows, names):
    """Pairing F1 and verdicts right of every tool; rows: (name, {tool: figures})."""
    tools = ("gatewitness", *names)
    out = ["| pairing F1, verdicts right | " + " | ".join(tools) + " |", "|---|" + "--:|" * len(tools)]
    for name, results in rows:
        if not all(t in results for t in tools):
            continue
        best = max(round(results[t]["pair_f1"], 4) for t in tools)
        cells = (bold_if(round(results[t]["pair_f1"], 4) == best, share(results[t]["pair_f1"])) + ", " + share(results[t]["verdict_accuracy"]) for t in tools)
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    return out
