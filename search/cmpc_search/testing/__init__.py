"""What each family promises, as tests that anybody's member of it can be put through.

A plug-in is tested in four lines: subclass the contract of its family and give its fixture. Needs
pytest, which nothing else in the package does.
"""
