"""How networks learn.

compute.py        where torch computes, and how precisely
batches.py        what a training reads, a step at a time; pairs.py and view_bank.py give them
task.py           what is learnt: modules, losses by name, gradients; gallery_task.py, query_task.py
loop.py           one loop for all of them, with checkpoint.py and execution.py
settings.py       how networks are trained, as a user sets it
augmentation.py   views of images; draws.py draws what is random in them
embedding.py      embeddings of many images
recalibration.py  batch norms, rebuilt
"""
