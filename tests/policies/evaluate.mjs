// Reads a JSON array of simulations from standard input, and answers with an array of verdicts.
import { readFileSync } from 'node:fs'
import { runSimulation } from '@cloud-copilot/iam-simulate'

const verdicts = []
for (const simulation of JSON.parse(readFileSync(0, 'utf8'))) {
  const result = await runSimulation(simulation, {})
  if (result.resultType === 'error') throw new Error(JSON.stringify(result.errors))
  const ignored = result.result.ignoredContextKeys ?? []
  if (ignored.length > 0) throw new Error(`The evaluator ignored ${ignored}`)
  verdicts.push(result.overallResult)
}
process.stdout.write(JSON.stringify(verdicts))
