"""What can be said about estimates: standard errors, tests, intervals, and whether there are estimates at all.

    parameters    the free parameters, and what is reported of them
    rows          blocks of rows in float64
    likelihood    the sum over rows, its gradient and information, in float64
    newton        its minimum, for many members at once
    covariance    of the estimates; robust
    influence     of single rows on the estimates
    least_squares by orthogonal factors, for columns that nearly repeat each other
    wald          standard errors, tests, intervals
    terms         tests that all parameters of a term are 0
    margins       average marginal effects
    profile       likelihood intervals and ratio tests
    bootstrap     the fit on rows drawn with replacement
    summary       deviances, information criteria, tests of the whole model
    penalised     Firth's likelihood, ridge
    recession     directions along which the likelihood rises for ever
    separation    the doctor who looks for them
    collinearity  columns that say the same

A torch library above `gradline.training`; no I/O, logging or timing. Run it under `torch.inference_mode()`.
"""
