"""What maintainers run: mutations, the tables in the docs, the coverage of the article. No learner
imports this.
"""
