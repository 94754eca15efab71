"""Random views of images, made in batches, where the images are.

base.py      what a kind of views promises, and what all kinds are set by
drawing.py   views of drawings: warped, recoloured, on white paper
photo.py     views of photographs: cropped, mirrored, in other light
catalogue.py the table of names
choosing.py  the one that a user set
geometry.py, colours.py, patches.py: what they are made of
"""
