"""How well predictions fit rows: the usual measures, each under many weightings of the rows at once.

    judge      all that is said of one problem's rows, by the others
    ordered    rows of two classes in the order of their scores
    ranking    how well scores tell the classes apart
    classes    measures of probabilities and of predicted classes
    numbers    measures of predicted numbers
    bootstrap  intervals from rows drawn with replacement
    threshold  where to decide, for a wanted recall or precision
    tables     scores and classes in few enough rows to draw curves from

A torch library in float64, weighted throughout. Shapes: n rows, c classes, r weightings of the rows.
"""
