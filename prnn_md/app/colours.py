"""The colours of all figures.

Okabe and Ito's, told apart by every kind of colour vision (M. Okabe, K. Ito, Color Universal Design, 2008).
"""

BLACK, BLUE, ORANGE, GREEN, GREY = "#000000", "#0072B2", "#D55E00", "#009E73", "#999999"
SKY, PURPLE = "#56B4E9", "#CC79A7"
