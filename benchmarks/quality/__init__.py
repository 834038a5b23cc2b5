"""How good a swap looks, in figures that a change of the engine may not worsen, and in pictures.

The sample photographs show two people from the front. More cases are made from them: a rolled head,
a small one, one in dim light, one without colour, and a swap of a face onto itself as a control.
These figures compare versions of one engine on one set; they say nothing about other faces.
"""
