"""The Spark runner: tables of rows, handed to functions of noskew in the tasks of Spark.

It knows Spark and Arrow. What is done with the rows is told by whoever runs it: a function, which
travels as its name, and a context, which travels as JSON.
"""
