"""The stages of the main job, each a function from folders to folders: views, supernet, search,
pick, evaluation. The command line calls these; so can any program.
"""
