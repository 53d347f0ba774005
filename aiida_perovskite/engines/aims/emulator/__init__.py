"""``aims-emulator``: behaves towards this package as FHI-aims does, from a toy model.

It is not FHI-aims, holds nothing of it, and says so at the head of its standard output, in its version
(``240507-emulator``) and in every file whose format has room for a comment. Its numbers mean nothing: they are
deterministic, smooth and of a sensible order, so that workflows can be tested. It runs in the current folder, reads
``control.in`` and ``geometry.in``, and writes standard output and files in the formats of real outputs of 2017 (header
"Version") or 2024 (header "FHI-aims version"). ``--version`` is the only option.

Model
-----
Energy
    Pairs of ions (charges from usual oxidation states, Shannon's radii): damped Coulomb and Born-Mayer; see ``energy``.
    Relaxations take Newton steps with a trust radius, of the free parameters only where a symmetry block names them.
Electrons
    Bands are sums of cosines over the Bravais lattice. The gap follows from electronegativities; HSE06 opens it by a
    fifth and 0.55 eV; spin-orbit coupling takes up to 0.3 eV off. Cs2AgBiBr6 has its VBM at X and its CBM at L.
Absorption
    Vertical transitions between these bands on the k-grid.

Restarts
--------
``geometry.in.next_step`` and ``hessian.aims`` are written at each relaxation step. The former holds neither the
symmetry block nor moments, which is the worst that may be met. With ``elsi_restart`` density files are written after
each self-consistency cycle, and shorten the first cycle of a run that reads them. Files ``abort_scf`` and ``abort_opt``
in the folder are obeyed between iterations and between steps.

Environment
-----------
AIMS_EMULATOR_VERSION
    E.g. ``171221_1`` for the old header (and an end without "Have a nice day."); default ``240507``.
AIMS_EMULATOR_DELAY
    Seconds that each self-consistency iteration takes, default 0.
AIMS_EMULATOR_TASKS
    Number of MPI tasks; default what mpirun says, else 1. In an mpirun only the first process works.
AIMS_EMULATOR_STATE
    A folder in which failures are counted by name, across runs.
AIMS_EMULATOR_FAIL
    Failures on demand, ``name@place:option:option``, several with ``;`` or ``,`` between. ``place`` is the ionic step
    (``1`` is the first and the default) or, for ``walltime``, ``killed`` and ``oom``, ``soc``, ``dielectric`` or
    ``bands``.

========================  ==============================================================================================
name                      what happens, and what repairs it by default
========================  ==============================================================================================
``scf@2``                 the cycle runs to ``sc_iter_limit``; until ``charge_mix_param<=0.02|density_read``
``geometry@3``            "Aborting optimization" as at the step limit, in step 3; never
``geometry@limit``        steps so small that ``max_relaxation_steps`` is reached; never
``optimizer@2``           "Aborting optimization" of the optimiser; until ``seen>=1&!hessian_read`` (started anew
                          without a Hessian after it has happened; needs AIMS_EMULATOR_STATE)
``walltime@2``            stops inside the cycle without another line, status 143; never
``killed@2``              "BAD TERMINATION", "KILLED BY SIGNAL: 9", status 137; never
``oom@bands``             the same after a message of the out-of-memory killer; never
``stacksize``             "Current stacksize too low", status 1; never
``input``                 "Input file control.in not found.", status 1; never
``coarse_grid``           bands along the path contradict the gap on the grid; until ``k_grid>=6``
========================  ==============================================================================================

Options: ``once`` or ``times=N`` (happens at most so often; needs AIMS_EMULATOR_STATE), ``until=CONDITION`` (instead of
the default repair). A condition is ``keyword`` (present in control.in), ``!keyword``, or a comparison of the keyword's
last number with ``<= >= < >``; ``&`` binds closer than ``|``; ``never`` never holds. Beside keywords there are
``tasks``, ``bands`` (number of segments), ``dielectric``, ``k_grid`` (smallest division), ``density_read``,
``hessian_read`` and ``seen`` (how often it has happened). Example: ``oom@bands:until=tasks<=2|!dielectric;scf@2:once``.
"""
