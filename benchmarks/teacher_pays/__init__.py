"""Where the teacher pays: which ways of teaching gain, on how many labels, over all folds.

python -m benchmarks.teacher_pays ways --data PTBXL_FOLDER --out runs/pays
"""
