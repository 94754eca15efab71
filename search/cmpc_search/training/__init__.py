"""How networks learn.

compute.py        where torch computes, and how precisely
batches.py        what a training reads, a step at a time; pairs.py and view_bank.py give them
task.py           what is learnt: modules, losses by name, gradients; gallery_task.py, query_task.py
loop.py           one loop for all of them, with checkpoint.py and execution.py
settings.py       how networks are trained, as a user sets it
augmentation/     kinds of random views of images; mixing.py shows two images in one
views.py          views from their numbers alone, which draws.py turns into what is random
view_bank.py      the gallery's embeddings of views; embedding_rows.py keeps them on disk, and
                  view_memory.py keeps views in memory; ahead.py makes them before they are wanted
embedding.py      embeddings of many images
recalibration.py  batch norms, rebuilt
"""
