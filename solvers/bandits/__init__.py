"""Learners of dynamical linear bandits, plain and compiled, and the driver that compares them.

Examples
--------
>>> from mdplib import models
>>> from solvers import bandits
>>> found = bandits.run(models.dlb_synthetic(), [bandits.RSDynLin()], 2000, seeds=3)
>>> found["RSDynLin"].regret.shape[0], bool(found["RSDynLin"].covered.all())
(3, True)
"""

from solvers.bandits.ar2 import AR2 as AR2
from solvers.bandits.batch_exp3 import BatchExp3 as BatchExp3
from solvers.bandits.batch_exp3 import n_epochs as n_epochs
from solvers.bandits.constant import Clairvoyant as Clairvoyant
from solvers.bandits.constant import Expert as Expert
from solvers.bandits.d_lin_ucb import DLinUCB as DLinUCB
from solvers.bandits.driver import default_checkpoints as default_checkpoints
from solvers.bandits.driver import run as run
from solvers.bandits.dynlin_ucb import DynLinUCB as DynLinUCB
from solvers.bandits.exp3 import Exp3 as Exp3
from solvers.bandits.faithful import Faithful as Faithful
from solvers.bandits.faithful import standard as standard
from solvers.bandits.interface import Algorithm as Algorithm
from solvers.bandits.interface import Learner as Learner
from solvers.bandits.interface import Task as Task
from solvers.bandits.lin_ucb import LinUCB as LinUCB
from solvers.bandits.result import Run as Run
from solvers.bandits.result import Runs as Runs
from solvers.bandits.rs_dynlin import RSDynLin as RSDynLin
from solvers.bandits.ucb1 import UCB1 as UCB1
