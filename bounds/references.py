"""The literature behind the catalogue: one literal table, keys as in theorem ids."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """A published source.

    Attributes
    ----------
    authors : str
        Initials and family names.
    title : str
        Title of the work.
    venue : str
        Journal with volume and pages, proceedings, publisher or report number.
    year : int
        Year of publication.
    """

    authors: str
    title: str
    venue: str
    year: int

    def __str__(self) -> str:
        return f"{self.authors} ({self.year}). {self.title}. {self.venue}."


REFERENCES: dict[str, Reference] = {
    "abbasi2011": Reference(
        "Y. Abbasi-Yadkori, D. Pal, C. Szepesvari",
        "Improved algorithms for linear stochastic bandits",
        "Advances in Neural Information Processing Systems 24",
        2011,
    ),
    "adelman2008": Reference(
        "D. Adelman, A. J. Mersereau",
        "Relaxations of weakly coupled stochastic dynamic programs",
        "Operations Research 56, 712-727",
        2008,
    ),
    "agarwal2020": Reference(
        "A. Agarwal, S. Kakade, L. F. Yang",
        "Model-based reinforcement learning with a generative model is minimax optimal",
        "Conference on Learning Theory, PMLR 125",
        2020,
    ),
    "azar2013": Reference(
        "M. Gheshlaghi Azar, R. Munos, H. J. Kappen",
        "Minimax PAC bounds on the sample complexity of reinforcement learning with a generative "
        "model",
        "Machine Learning 91, 325-349",
        2013,
    ),
    "bellman1957": Reference(
        "R. Bellman", "Dynamic Programming", "Princeton University Press", 1957
    ),
    "bertsekas1991": Reference(
        "D. P. Bertsekas, J. N. Tsitsiklis",
        "An analysis of stochastic shortest path problems",
        "Mathematics of Operations Research 16, 580-595",
        1991,
    ),
    "blackwell1962": Reference(
        "D. Blackwell",
        "Discrete dynamic programming",
        "Annals of Mathematical Statistics 33, 719-726",
        1962,
    ),
    "bretagnolle1979": Reference(
        "J. Bretagnolle, C. Huber",
        "Estimation des densites: risque minimax",
        "Zeitschrift fur Wahrscheinlichkeitstheorie und verwandte Gebiete 47, 119-137",
        1979,
    ),
    "brown2020": Reference(
        "D. B. Brown, J. E. Smith",
        "Index policies and performance bounds for dynamic selection problems",
        "Management Science 66, 3029-3050",
        2020,
    ),
    "denardo1967": Reference(
        "E. V. Denardo",
        "Contraction mappings in the theory underlying dynamic programming",
        "SIAM Review 9, 165-177",
        1967,
    ),
    "haddad2018": Reference(
        "S. Haddad, B. Monmege",
        "Interval iteration algorithm for MDPs and IMDPs",
        "Theoretical Computer Science 735, 111-131",
        2018,
    ),
    "hawkins2003": Reference(
        "J. T. Hawkins",
        "A Lagrangian decomposition approach to weakly coupled dynamic optimization problems "
        "and its applications",
        "PhD thesis, Massachusetts Institute of Technology",
        2003,
    ),
    "hoeffding1963": Reference(
        "W. Hoeffding",
        "Probability inequalities for sums of bounded random variables",
        "Journal of the American Statistical Association 58, 13-30",
        1963,
    ),
    "jin2021": Reference(
        "Y. Jin, Z. Yang, Z. Wang",
        "Is pessimism provably efficient for offline RL?",
        "International Conference on Machine Learning, PMLR 139, 5084-5096",
        2021,
    ),
    "kakade2002": Reference(
        "S. Kakade, J. Langford",
        "Approximately optimal approximate reinforcement learning",
        "International Conference on Machine Learning, 267-274",
        2002,
    ),
    "kakade2003": Reference(
        "S. M. Kakade",
        "On the sample complexity of reinforcement learning",
        "PhD thesis, University College London",
        2003,
    ),
    "kearns1999": Reference(
        "M. Kearns, S. Singh",
        "Finite-sample convergence rates for Q-learning and indirect algorithms",
        "Advances in Neural Information Processing Systems 11",
        1999,
    ),
    "kearns2002": Reference(
        "M. Kearns, S. Singh",
        "Near-optimal reinforcement learning in polynomial time",
        "Machine Learning 49, 209-232",
        2002,
    ),
    "li2024": Reference(
        "Y. Li, P. Ju, N. Shroff",
        "Achieving sample and computational efficient reinforcement learning by action space "
        "reduction via grouping",
        "International Conference on Learning Representations",
        2024,
    ),
    "liu2024": Reference(
        "Z. Liu, P. Xu",
        "Minimax optimal and computationally efficient algorithms for distributionally robust "
        "offline reinforcement learning",
        "Advances in Neural Information Processing Systems 37",
        2024,
    ),
    "macqueen1966": Reference(
        "J. MacQueen",
        "A modified dynamic programming method for Markovian decision problems",
        "Journal of Mathematical Analysis and Applications 14, 38-43",
        1966,
    ),
    "macqueen1967": Reference(
        "J. MacQueen",
        "A test for suboptimal actions in Markovian decision problems",
        "Operations Research 15, 559-561",
        1967,
    ),
    "maurer2009": Reference(
        "A. Maurer, M. Pontil",
        "Empirical Bernstein bounds and sample variance penalization",
        "Conference on Learning Theory",
        2009,
    ),
    "mdplib": Reference(
        "the authors of mdplib",
        "Statements proved in the module that holds them",
        "Source code of this library",
        2026,
    ),
    "munos2007": Reference(
        "R. Munos",
        "Performance bounds in Lp-norm for approximate value iteration",
        "SIAM Journal on Control and Optimization 46, 541-561",
        2007,
    ),
    "mussi2023": Reference(
        "M. Mussi, A. M. Metelli, M. Restelli",
        "Dynamical linear bandits",
        "International Conference on Machine Learning, PMLR 202, 25563-25587",
        2023,
    ),
    "odoni1969": Reference(
        "A. R. Odoni",
        "On finding the maximal gain for Markov decision processes",
        "Operations Research 17, 857-860",
        1969,
    ),
    "park1969": Reference(
        "D. Park",
        "Fixpoint induction and proofs of program properties",
        "Machine Intelligence 5, 59-78",
        1969,
    ),
    "porteus1971": Reference(
        "E. L. Porteus",
        "Some bounds for discounted sequential decision processes",
        "Management Science 18, 7-11",
        1971,
    ),
    "puterman1994": Reference(
        "M. L. Puterman",
        "Markov Decision Processes: Discrete Stochastic Dynamic Programming",
        "Wiley",
        1994,
    ),
    "singh1994": Reference(
        "S. P. Singh, R. C. Yee",
        "An upper bound on the loss from approximate optimal-value functions",
        "Machine Learning 16, 227-233",
        1994,
    ),
    "tang2025": Reference(
        "C. Tang, Z. Liu, P. Xu",
        "Robust offline reinforcement learning with linearly structured f-divergence "
        "regularization",
        "International Conference on Machine Learning, PMLR 267",
        2025,
    ),
    "taylor2008": Reference(
        "J. Taylor, D. Precup, P. Panangaden",
        "Bounding performance loss in approximate MDP homomorphisms",
        "Advances in Neural Information Processing Systems 21",
        2008,
    ),
    "waudbysmith2024": Reference(
        "I. Waudby-Smith, A. Ramdas",
        "Estimating means of bounded random variables by betting",
        "Journal of the Royal Statistical Society B 86, 1-27",
        2024,
    ),
    "weissman2003": Reference(
        "T. Weissman, E. Ordentlich, G. Seroussi, S. Verdu, M. J. Weinberger",
        "Inequalities for the L1 deviation of the empirical distribution",
        "Report HPL-2003-97, HP Labs",
        2003,
    ),
    "whittle1988": Reference(
        "P. Whittle",
        "Restless bandits: activity allocation in a changing world",
        "Journal of Applied Probability 25A, 287-298",
        1988,
    ),
    "williams1993": Reference(
        "R. J. Williams, L. C. Baird",
        "Tight performance bounds on greedy policies based on imperfect value functions",
        "Report NU-CCS-93-14, Northeastern University",
        1993,
    ),
    "xu2025": Reference(
        "L. Xu, B. Wilder, E. B. Khalil, M. Tambe",
        "Reinforcement learning with combinatorial actions for coupled restless bandits",
        "International Conference on Learning Representations",
        2025,
    ),
}
