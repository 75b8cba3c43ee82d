"""The catalogue of theorems: one literal table."""

from __future__ import annotations

from collections.abc import Sequence

from bounds import (
    azar2013,
    bertsekas1991,
    blackwell1962,
    denardo1967,
    finite_greedy,
    finite_plugin,
    finite_propagation,
    finite_simulation,
    haddad2018,
    kakade2002,
    kakade2003,
    kearns2002,
    macqueen1966,
    macqueen1967,
    odoni1969,
    park1969,
    plugin,
    plugin_propagation,
    porteus1971,
    puterman1994,
    simulation_coupling,
    singh1994,
    williams1993,
)
from bounds.theorem import Entry

CATALOGUE: dict[str, Entry] = {
    "denardo1967:contraction": denardo1967.CONTRACTION,
    "denardo1967:policy_contraction": denardo1967.POLICY_CONTRACTION,
    "denardo1967:residual_bound": denardo1967.RESIDUAL_BOUND,
    "denardo1967:geometric": denardo1967.GEOMETRIC,
    "blackwell1962:optimality_equation": blackwell1962.OPTIMALITY_EQUATION,
    "macqueen1966:bracket": macqueen1966.BRACKET,
    "porteus1971:bracket": porteus1971.BRACKET,
    "macqueen1967:elimination": macqueen1967.ELIMINATION,
    "odoni1969:gain_bracket": odoni1969.GAIN_BRACKET,
    "park1969:induction": park1969.INDUCTION,
    "bertsekas1991:proper_policy": bertsekas1991.PROPER_POLICY,
    "haddad2018:interval_iteration": haddad2018.INTERVAL_ITERATION,
    "puterman1994:sweeps": puterman1994.SWEEPS,
    "singh1994:greedy_loss": singh1994.GREEDY_LOSS,
    "williams1993:residual_loss": williams1993.RESIDUAL_LOSS,
    "kakade2002:performance_difference": kakade2002.PERFORMANCE_DIFFERENCE,
    "kearns2002:value_difference": kearns2002.VALUE_DIFFERENCE,
    "kearns2002:simulation_lemma": kearns2002.SIMULATION_LEMMA,
    "mdplib:simulation_coupling": simulation_coupling.SIMULATION_COUPLING,
    "mdplib:plugin_propagation": plugin_propagation.PROPAGATION,
    "kearns1999:plugin_value": plugin.VALUE,
    "kearns1999:plugin_loss": plugin.LOSS,
    "azar2013:rate_samples": azar2013.RATE_SAMPLES,
    "azar2013:rate_horizon": azar2013.RATE_HORIZON,
    "mdplib:finite_error_propagation": finite_propagation.ERROR_PROPAGATION,
    "kakade2003:finite_performance_difference": kakade2003.PERFORMANCE_DIFFERENCE,
    "mdplib:finite_value_difference": finite_simulation.VALUE_DIFFERENCE,
    "mdplib:finite_simulation_lemma": finite_simulation.SIMULATION_LEMMA,
    "mdplib:finite_greedy_loss": finite_greedy.GREEDY_LOSS,
    "mdplib:finite_plugin_loss": finite_plugin.LOSS,
}


GROUPS: dict[str, tuple[str, ...]] = {
    "r2pvi": ("tang2025", "liu2024", "jin2021"),
    "dynlin": ("mussi2023",),
}
"""Papers, or single theorems, that belong together under one name."""


def select(names: Sequence[str] = ("all",)) -> dict[str, Entry]:
    """Return the entries of the given names, in the order of the catalogue.

    Parameters
    ----------
    names : sequence of str
        Ids of theorems, keys of papers, names of `GROUPS`, or "all".

    Returns
    -------
    dict
        Id to entry.

    Raises
    ------
    KeyError
        If a name is neither; the message lists what there is.

    Examples
    --------
    >>> list(select(["kakade2002"]))
    ['kakade2002:performance_difference']
    """
    papers = {entry.theorem.paper for entry in CATALOGUE.values()}
    unknown = [name for name in names if name not in {"all", *GROUPS, *papers, *CATALOGUE}]
    if unknown:
        raise KeyError(
            f"no theorem or paper is called {unknown[0]!r}. Papers: {', '.join(sorted(papers))}; "
            f"groups: {', '.join(GROUPS)}; theorems: {', '.join(CATALOGUE)}."
        )
    wanted = {each for name in names for each in GROUPS.get(name, (name,))}
    return {
        id: entry
        for id, entry in CATALOGUE.items()
        if "all" in wanted or id in wanted or entry.theorem.paper in wanted
    }
