"""Published inversion methods of other groups, built on our elements.

A benchmark can thus run them on the same noisy field as our inversion.

Three families of open methods (docs/theory/comparators.md):

    palpate.solvers.comparators.direct          algebraic inversion: G* locally constant, no mesh
    palpate.solvers.comparators.direct_fe     heterogeneous direct inversion: the data are put into the weak form
    palpate.solvers.comparators.dirichlet     nonlinear inversion of zones whose boundary data are taken as exact

None has a prior or a credible interval. They share zones, elements and solvers with our inversion, so that only the
method differs.
"""
