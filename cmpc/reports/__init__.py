"""How results read: one file for each kind of result, all of which give a `base.Report`.

data_sets.py    which data there are, and what one set holds
front.py        the front of a search, and the pick from it
evaluation.py   what a run is worth: accuracies.py and costs.py
training.py     which networks are trained
profile.py      where the time goes, kernel by kernel; profile_page.py as a page
tuning.py       what measured schedules brought
answers.py      what queries found
embeddings.py   what a bundle gave for pictures
galleries.py    a gallery, and its embeddings of a data set
index.py        an index
bundle.py       a bundle
"""
