"""What each family promises, as tests that anybody's member of it can be put through.

    cost_models   CostModelContract, PredictorContract
    patterns      PatternContract
    sites         SiteContract

A plug-in is tested in four lines: subclass the contract of its family and give its fixtures. Needs
pytest, which nothing else in the package does.
"""
