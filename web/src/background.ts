const kAtOnce = 2; // of a browser's six connections to one server: two streams, and what a person does, need others

/** What nobody waits for, a few at a time, and no question again while its answer is still to come. */
export class Background {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private readonly asked = new Map<string, Promise<unknown>>();

  /** Does `work` in its turn; who asks for the same meanwhile gets the same answer. */
  run<T>(question: string, work: () => Promise<T>): Promise<T> {
    let answer = this.asked.get(question) as Promise<T> | undefined;
    if (!answer) {
      answer = this.inTurn(work).finally(() => this.asked.delete(question));
      this.asked.set(question, answer);
    }
    return answer;
  }
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.running < kAtOnce) ++this.running;
    else await new Promise<void>((go) => this.waiting.push(go));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else --this.running;
    }
  }
}
