"""The catalogue of theorems: one literal table."""

from __future__ import annotations

from collections.abc import Sequence

from bounds import (
    azar2013,
    bertsekas1991,
    blackwell1962,
    brown2020,
    denardo1967,
    finite_greedy,
    finite_plugin,
    finite_propagation,
    finite_simulation,
    haddad2018,
    hawkins2003,
    jin2021,
    kakade2002,
    kakade2003,
    kearns2002,
    li2024_approximation,
    li2024_bisimulation,
    li2024_certificate,
    li2024_chain,
    li2024_estimation,
    li2024_lifting,
    li2024_refinement,
    li2024_scaling,
    li2024_weights,
    liu2024,
    macqueen1966,
    macqueen1967,
    munos2007,
    mussi2023,
    mussi2023_bias,
    mussi2023_confidence,
    mussi2023_lower,
    mussi2023_regret,
    mussi2023_switching,
    odoni1969,
    park1969,
    plugin,
    plugin_propagation,
    porteus1971,
    puterman1994,
    robust_duality,
    simulation_coupling,
    singh1994,
    tang2025_confidence,
    tang2025_lower,
    tang2025_pessimism,
    tang2025_rates,
    tang2025_suboptimality,
    waudbysmith2024,
    williams1993,
    xu2025,
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
    "mdplib:robust_duality": robust_duality.DUALITY,
    "mdplib:robust_concavity": robust_duality.CONCAVITY,
    "mdplib:robust_nonexpansive": robust_duality.NONEXPANSIVE,
    "mdplib:robust_order": robust_duality.ORDER,
    "mdplib:penalty_range": robust_duality.PENALTY_RANGE,
    "mdplib:calibrated_multiplier": tang2025_confidence.CALIBRATED_MULTIPLIER,
    "tang2025:worst_distance": robust_duality.WORST_DISTANCE,
    "tang2025:pessimism": tang2025_pessimism.PESSIMISM,
    "tang2025:certificate": tang2025_pessimism.CERTIFICATE,
    "tang2025:admissible_kernels": tang2025_pessimism.ADMISSIBLE_KERNELS,
    "tang2025:confidence_tv": tang2025_confidence.CONFIDENCE_TV,
    "tang2025:confidence_kl": tang2025_confidence.CONFIDENCE_KL,
    "tang2025:confidence_chi2": tang2025_confidence.CONFIDENCE_CHI2,
    "tang2025:suboptimality_tv": tang2025_suboptimality.SUBOPTIMALITY_TV,
    "tang2025:suboptimality_kl": tang2025_suboptimality.SUBOPTIMALITY_KL,
    "tang2025:suboptimality_chi2": tang2025_suboptimality.SUBOPTIMALITY_CHI2,
    "tang2025:partial_coverage": tang2025_suboptimality.PARTIAL_COVERAGE,
    "tang2025:coverage_tv": tang2025_suboptimality.COVERAGE_TV,
    "tang2025:coverage_kl": tang2025_suboptimality.COVERAGE_KL,
    "tang2025:coverage_chi2": tang2025_suboptimality.COVERAGE_CHI2,
    "tang2025:two_problems": tang2025_lower.TWO_PROBLEMS,
    "tang2025:lower_bound": tang2025_lower.LOWER_BOUND,
    "tang2025:hard_tilt": tang2025_lower.HARD_TILT,
    "tang2025:rate_value": tang2025_rates.RATE_VALUE,
    "tang2025:rate_suboptimality": tang2025_rates.RATE_SUBOPTIMALITY,
    "liu2024:suboptimality": liu2024.SUBOPTIMALITY,
    "liu2024:range_shrinkage": liu2024.RANGE_SHRINKAGE,
    "liu2024:rate_value": liu2024.RATE_VALUE,
    "jin2021:pessimism": jin2021.PESSIMISM,
    "jin2021:suboptimality": jin2021.SUBOPTIMALITY,
    "jin2021:rate_value": jin2021.RATE_VALUE,
    "mussi2023:poisson_reward": mussi2023.POISSON_REWARD,
    "mussi2023:poisson_regret": mussi2023.POISSON_REGRET,
    "mussi2023:constant_policy": mussi2023.CONSTANT_POLICY,
    "mussi2023:state_norm": mussi2023.STATE_NORM,
    "mussi2023:markov_norm": mussi2023.MARKOV_NORM,
    "mussi2023:epoch_bias": mussi2023_bias.EPOCH_BIAS,
    "mussi2023:bias_sum": mussi2023_bias.BIAS_SUM,
    "mussi2023:bias_square_sum": mussi2023_bias.BIAS_SQUARE_SUM,
    "mussi2023:certified_set": mussi2023_confidence.CERTIFIED_SET,
    "mussi2023:published_set": mussi2023_confidence.PUBLISHED_SET,
    "mussi2023:certificate": mussi2023_regret.CERTIFICATE,
    "mussi2023:regret_bound": mussi2023_regret.REGRET_BOUND,
    "mussi2023:switching_set": mussi2023_switching.SWITCHING_SET,
    "mussi2023:switching_certificate": mussi2023_switching.SWITCHING_CERTIFICATE,
    "mussi2023:switching_bound": mussi2023_switching.SWITCHING_BOUND,
    "mussi2023:lower_bound": mussi2023_lower.LOWER_BOUND,
    "mussi2023:guessing_bound": mussi2023_lower.GUESSING_BOUND,
    "mussi2023:lower_rate_rounds": mussi2023_lower.LOWER_RATE_ROUNDS,
    "mussi2023:lower_rate_memory": mussi2023_lower.LOWER_RATE_MEMORY,
    "li2024:lifting": li2024_lifting.LIFTING,
    "li2024:chain": li2024_chain.CHAIN,
    "li2024:chain_step": li2024_chain.STEP,
    "li2024:chain_loss": li2024_chain.LOSS,
    "li2024:chain_spread": li2024_chain.SPREAD,
    "li2024:chain_distance": li2024_chain.DISTANCE,
    "li2024:chain_estimate": li2024_chain.ESTIMATE,
    "li2024:approximation": li2024_approximation.APPROXIMATION,
    "li2024:sharpness": li2024_approximation.SHARPNESS,
    "li2024:approximation_textbook": li2024_approximation.TEXTBOOK,
    "li2024:approximation_mixed": li2024_approximation.MIXED,
    "li2024:weights_minimal": li2024_weights.MINIMAL,
    "li2024:weights_witness": li2024_weights.WITNESS,
    "li2024:weights_variation": li2024_weights.VARIATION,
    "li2024:weights_overlap": li2024_weights.OVERLAP,
    "li2024:refinement": li2024_refinement.VALUE,
    "li2024:refinement_weights": li2024_refinement.WEIGHTS,
    "li2024:planning": li2024_estimation.PLANNING,
    "li2024:iterations": li2024_estimation.ENOUGH,
    "li2024:estimation_value": li2024_estimation.VALUE,
    "li2024:estimation_hoeffding": li2024_estimation.HOEFFDING,
    "li2024:estimation_weissman": li2024_estimation.WEISSMAN,
    "li2024:total": li2024_certificate.TOTAL,
    "li2024:certificate": li2024_certificate.CERTIFICATE,
    "li2024:best_number": li2024_scaling.MINIMISER,
    "li2024:scaling": li2024_scaling.LAW,
    "li2024:best_number_monotone": li2024_scaling.MONOTONE,
    "li2024:bisimulation": li2024_bisimulation.BISIMULATION,
    "li2024:bisimulation_variation": li2024_bisimulation.VARIATION,
    "hawkins2003:chain": hawkins2003.CHAIN,
    "hawkins2003:chain_discounted": hawkins2003.DISCOUNTED,
    "hawkins2003:prices": hawkins2003.PRICED,
    "hawkins2003:monotone": hawkins2003.MONOTONE,
    "hawkins2003:decoupled": hawkins2003.DECOUPLED,
    "xu2025:contraction": xu2025.CONTRACTION,
    "xu2025:order": xu2025.ORDER,
    "xu2025:lookahead": xu2025.LOOKAHEAD,
    "xu2025:slow_target": xu2025.SLOW_TARGET,
    "xu2025:moving_target": xu2025.MOVING_TARGET,
    "munos2007:propagation": munos2007.PROPAGATION,
    "munos2007:fitted_gap": munos2007.FITTED_GAP,
    "munos2007:fitted_finite": munos2007.FITTED_FINITE,
    "munos2007:program_gap": munos2007.PROGRAM_GAP,
    "brown2020:copies": brown2020.COPIES,
    "waudbysmith2024:certified_gap": waudbysmith2024.CERTIFIED_GAP,
}


GROUPS: dict[str, tuple[str, ...]] = {
    "r2pvi": (
        "mdplib:robust_duality",
        "mdplib:robust_concavity",
        "mdplib:robust_nonexpansive",
        "mdplib:robust_order",
        "mdplib:penalty_range",
        "mdplib:calibrated_multiplier",
        "tang2025",
        "liu2024",
        "jin2021",
    ),
    "dynlin": ("mussi2023",),
    "grouping": ("li2024",),
    "sequoia": ("hawkins2003", "xu2025", "munos2007", "brown2020", "waudbysmith2024"),
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
